// engine/policy/README.md has the catalogue's rows, in its order, with their aliases, options and defaults.
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "policy/catalogue.hpp"

namespace nfsteer::policy {
namespace {

// The cells of the table's lines, heading and rule left out.
std::vector<std::vector<std::string>> rows_of_readme() {
  std::ifstream file(NFSTEER_SOURCE_DIR "/engine/policy/README.md");
  EXPECT_TRUE(file);
  std::vector<std::vector<std::string>> rows;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("| `")) continue;
    std::vector<std::string> cells;
    for (std::size_t begin = 1, end = line.find('|', 1); end != line.npos;
         begin = end + 1, end = line.find('|', begin)) {
      const std::string cell = line.substr(begin, end - begin);
      const auto first = cell.find_first_not_of(' ');
      cells.push_back(first == cell.npos ? "" : cell.substr(first, cell.find_last_not_of(' ') - first + 1));
    }
    rows.push_back(cells);
  }
  return rows;
}

std::string quoted(std::string_view name) {
  return name.empty() ? std::string{} : '`' + std::string(name) + '`';
}

std::string options_text(const PolicyInfo& info) {
  std::string text;
  for (const OptionInfo& each : info.options)
    text += (text.empty() ? "" : ", ") + quoted(each.name) + ' ' + std::to_string(each.usual);
  return text;
}

TEST(PolicyDocumentation, TheReadmeHasEveryPolicyWithItsAliasAndOptions) {
  const auto rows = rows_of_readme();
  ASSERT_EQ(rows.size(), catalogue().size());
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const PolicyInfo& info = catalogue()[row];
    ASSERT_EQ(rows[row].size(), 7U) << info.name;
    EXPECT_EQ(rows[row][0], quoted(info.name));
    EXPECT_EQ(rows[row][1], quoted(info.alias)) << info.name;
    EXPECT_EQ(rows[row][6], options_text(info)) << info.name;
    for (const std::size_t cell : {2U, 3U, 4U, 5U})
      EXPECT_NE(rows[row][cell], "") << info.name;
  }
}

}  // namespace
}  // namespace nfsteer::policy
