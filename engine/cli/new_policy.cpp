#include "cli/new_policy.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>

#include <fmt/format.h>

#include "cli/policy_templates.hpp"

namespace nfsteer::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kNameMax = 40;

// A name that is one in C, in Python and in a Makefile.
bool is_name(const std::string& name) {
  const auto is_part = [](char each) {
    return std::islower(static_cast<unsigned char>(each)) != 0 ||
           std::isdigit(static_cast<unsigned char>(each)) != 0 || each == '_';
  };
  return !name.empty() && name.size() <= kNameMax && std::islower(static_cast<unsigned char>(name[0])) != 0 &&
         std::ranges::all_of(name, is_part);
}

// "least_of_two": "LeastOfTwo"
std::string class_name(const std::string& name) {
  std::string result;
  bool begins = true;
  for (const char each : name) {
    if (each != '_')
      result += begins ? static_cast<char>(std::toupper(static_cast<unsigned char>(each))) : each;
    begins = each == '_';
  }
  return result;
}

struct Names {
  std::string name;
  std::string class_name;
  std::string file;
};

std::string filled(std::string_view text, const Names& names) {
  std::string result(text);
  for (const auto& [hole, value] : {std::pair{std::string_view("@NAME@"), &names.name},
                                    std::pair{std::string_view("@CLASS@"), &names.class_name},
                                    std::pair{std::string_view("@FILE@"), &names.file}})
    for (auto at = result.find(hole); at != std::string::npos; at = result.find(hole, at + value->size()))
      result.replace(at, hole.size(), *value);
  return result;
}

core::Failure failure(const fs::path& path, const std::error_code& error) {
  return core::system_error(path.string(), error.message(), "name another place with --directory");
}

core::Result<void> write_file(const fs::path& path, const std::string& text) {
  std::error_code failed;
  fs::create_directories(path.parent_path(), failed);
  if (failed) return failure(path.parent_path(), failed);
  std::ofstream file(path, std::ios::binary);
  file << text << std::flush;
  if (!file) return failure(path, std::make_error_code(std::errc::io_error));
  return {};
}

}  // namespace

core::Result<fs::path> write_new_policy(const std::string& name, const std::string& language,
                                        const fs::path& where) {
  if (!is_name(name))
    return core::usage_error(
        "NAME", fmt::format("\"{}\" cannot be the name of a policy", name),
        fmt::format("lower-case letters, digits and _, a letter first, up to {} characters", kNameMax));
  const fs::path folder = where / name;
  std::error_code failed;
  if (fs::exists(fs::symlink_status(folder, failed)))
    return core::usage_error(folder.string(), "it is there already, and nothing of it is overwritten",
                             "choose another name, or another place with --directory");
  const std::string ending = language == "python" ? ".py" : language == "c" ? ".c" : ".cpp";
  const Names names{name, class_name(name), name + ending};
  for (const PolicyTemplate& each : policy_templates()) {
    if (each.language != language) continue;
    if (auto written = write_file(folder / filled(each.file, names), filled(each.text, names)); !written)
      return tl::unexpected(written.error());
  }
  return folder;
}

}  // namespace nfsteer::cli
