// README.md's tables and the API's schema name the fields that the validator accepts, and their defaults.
#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/raw_writer.hpp"
#include "config/validate_parts.hpp"
#include "config_support.hpp"

namespace nfsteer::config {
namespace {

namespace json = boost::json;
using testing::UnorderedElementsAreArray;

std::string source(const std::string& path) {
  std::ifstream file(NFSTEER_SOURCE_DIR "/" + path);
  EXPECT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Row {
  std::string name;
  std::string default_value;  // the last cell
};
using Tables = std::map<std::string, std::vector<Row>>;  // by what the line "**`services`**..." above says

// "`vip`" in "| `vip` | the virtual address |", without the quotes; empty if there is none.
std::string quoted_word(const std::string& line, std::size_t from) {
  const auto begin = line.find('`', from);
  const auto end = begin == line.npos ? line.npos : line.find('`', begin + 1);
  return end == line.npos ? std::string{} : line.substr(begin + 1, end - begin - 1);
}

Tables tables_of_readme() {
  std::istringstream lines(source("README.md"));
  Tables tables;
  std::string line, table;
  bool is_inside = false;
  while (std::getline(lines, line)) {
    if (line.starts_with("## ")) is_inside = line == "## Configuration";
    if (!is_inside) continue;
    if (line.starts_with("**`")) table = quoted_word(line, 0);
    if (!line.starts_with("| `")) continue;
    const auto last = line.rfind(" | ");
    tables[table].push_back({quoted_word(line, 0), line.substr(last + 3, line.size() - last - 5)});
  }
  return tables;
}

std::vector<std::string> names_in(const std::vector<Row>& rows) {
  std::vector<std::string> names;
  for (const Row& each : rows)
    names.push_back(each.name);
  return names;
}

// A value if the cell says one, as against words about what the default is.
std::string exact(const std::string& cell) {
  if (!cell.empty() && cell.find_first_not_of("0123456789") == cell.npos) return cell;
  const bool is_one_word = cell.size() > 2 && cell.starts_with('`') && cell.ends_with('`') &&
                           std::count(cell.begin(), cell.end(), '`') == 2;
  return is_one_word ? cell.substr(1, cell.size() - 2) : std::string{};
}

core::Service service_with(const std::string& fields) {
  return parse("services: [{vip: 10.0.0.40, port: 80, backends: [10.0.0.20], " + fields + "}]")
      .value()
      .services[0];
}

// The fields as they are where nothing is said, of every table.
std::map<std::string, RawValue> defaults() {
  std::map<std::string, RawValue> maps;
  maps["engine"] = raw_of(parse("services: []").value().engine);
  maps["services"] = raw_of(service_with("mode: connection"));
  maps["backends"] = maps["services"].find("backends")->children[0];
  maps["affinity"] = *raw_of(service_with("affinity: client")).find("affinity");
  maps["health"] = *raw_of(service_with("health: tcp")).find("health");
  const RawValue http = *raw_of(service_with("health: http")).find("health");
  for (const std::string_view each : {"path", "status"})
    maps["health"].children.push_back(*http.find(each));
  return maps;
}

TEST(ConfigDocumentation, ReadmeNamesEveryFieldAndNoOther) {
  const Tables tables = tables_of_readme();
  ASSERT_EQ(tables.size(), 5U);
  EXPECT_THAT(names_in(tables.at("engine")), UnorderedElementsAreArray(engine_fields()));
  EXPECT_THAT(names_in(tables.at("services")), UnorderedElementsAreArray(service_fields()));
  EXPECT_THAT(names_in(tables.at("backends")), UnorderedElementsAreArray(backend_fields()));
  EXPECT_THAT(names_in(tables.at("affinity")), UnorderedElementsAreArray(affinity_fields()));
  EXPECT_THAT(names_in(tables.at("health")), UnorderedElementsAreArray(health_fields()));
}

TEST(ConfigDocumentation, ReadmeSaysTheDefaults) {
  // Required, or dependent on other fields.
  const std::set<std::string> in_words{"services.vip",       "services.protocol", "services.port",
                                       "services.backends",  "backends.address",  "health.timeout",
                                       "health.backoff_max", "health.passive"};
  const auto maps = defaults();
  for (const auto& [table, rows] : tables_of_readme()) {
    for (const auto& [name, cell] : rows) {
      if (in_words.contains(table + "." + name)) continue;
      const RawValue* value = maps.at(table).find(name);
      EXPECT_EQ(exact(cell), value == nullptr ? "" : value->text) << table << '.' << name << ": " << cell;
    }
  }
}

std::string text_of(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_bool()) return value.get_bool() ? "true" : "false";
  return std::to_string(value.to_number<std::int64_t>());
}

// An object's schema has these fields, and the defaults it gives are theirs.
void expect_described(const json::value& properties, const std::vector<std::string_view>& names,
                      const RawValue& usual) {
  std::vector<std::string> described;
  for (const auto& [name, schema] : properties.as_object()) {
    described.emplace_back(name);
    const json::value* value = schema.as_object().if_contains("default");
    const RawValue* wanted = usual.find(std::string(name));
    // Those that depend on other fields are described in words.
    const bool is_in_words = name == "timeout" || name == "backoff_max" || name == "passive";
    if (wanted == nullptr || (is_in_words && value == nullptr)) continue;
    if (value != nullptr) {
      EXPECT_EQ(text_of(*value), wanted->text) << name;
    } else {
      EXPECT_FALSE(wanted->is_default) << name << " is left out of answers, so its default should be said";
    }
  }
  EXPECT_THAT(described, UnorderedElementsAreArray(names));
}

TEST(ConfigDocumentation, TheSchemaHasTheFieldsAndTheirDefaults) {
  const json::value document = json::parse(source("engine/api/openapi.json"));
  const json::value& schemas = document.at("components").at("schemas");
  const json::value& service = schemas.at("Service").at("properties");
  const auto usual = defaults();
  expect_described(service, service_fields(), usual.at("services"));
  expect_described(schemas.at("Backend").at("properties"), backend_fields(), usual.at("backends"));
  for (const auto& [name, fields] : {std::pair{"affinity", affinity_fields()}, {"health", health_fields()}})
    expect_described(service.at(name).at("oneOf").at(1).at("properties"), fields, usual.at(name));
}

}  // namespace
}  // namespace nfsteer::config
