#include "config/yaml_reader.hpp"

#include <algorithm>
#include <cstddef>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include "config/config.hpp"
#include "config/places.hpp"

namespace nfsteer::config {
namespace {

using Kind = RawValue::Kind;

// What the text says, against rules of ours. An exception is the only way to stop YAML::Parser in the middle;
// it is caught in read_yaml() beside the parser's own.
class Refusal : public YAML::ParserException {
 public:
  Refusal(const YAML::Mark& at, const std::string& reason, std::string mend_text)
      : ParserException(at, reason), mend(std::move(mend_text)) {}
  std::string mend;
};

std::uint32_t line_of(const YAML::Mark& mark) {
  return static_cast<std::uint32_t>(mark.line) + 1;
}

// Builds the tree from the parser's events, with a stack of the maps and lists that are still open.
class Builder final : public YAML::EventHandler {
 public:
  RawValue take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (has_document_) throw Refusal(mark, "a second YAML document begins", "keep one document in a file");
    has_document_ = true;
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { place(mark, {}, anchor); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override { place(mark, {}, anchor); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    if (awaits_name()) {
      refuse_extras(mark, tag, anchor);
      add_child(mark).name = text;
      return;
    }
    RawValue& value = place(mark, tag, anchor);
    value.kind = Kind::text;
    value.text = text;
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Kind::list, mark, tag, anchor);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Kind::map, mark, tag, anchor);
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  struct Open {
    RawValue* value;               // stays put: its parent gets no other child while it is open
    bool has_named_field = false;  // of a map: the last field has its name and waits for its value
  };

  bool awaits_name() const {
    return !open_.empty() && open_.back().value->kind == Kind::map && !open_.back().has_named_field;
  }

  RawValue& add_child(const YAML::Mark& mark) {
    if (++values_ > kValuesMax)
      throw Refusal(mark, fmt::format("more than {} values", kValuesMax),
                    "share the services among several engines");
    open_.back().has_named_field = true;
    RawValue& child = open_.back().value->children.emplace_back();
    child.line = line_of(mark);
    return child;
  }

  static void refuse_extras(const YAML::Mark& mark, std::string_view tag, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor)
      throw Refusal(mark, "anchors and aliases are not supported", "write the value out where it is used");
    // "?" and "!" are yaml-cpp's tags for a plain and a quoted value without a tag.
    if (!tag.empty() && tag != "?" && tag != "!")
      throw Refusal(mark, "tags are not supported", "leave the tag out");
  }

  // The place that the next value takes.
  RawValue& place(const YAML::Mark& mark, std::string_view tag, YAML::anchor_t anchor) {
    refuse_extras(mark, tag, anchor);
    if (awaits_name())
      throw Refusal(mark, "no plain name where a field is expected",
                    "write NAME: VALUE, and close every bracket");
    if (open_.empty()) {
      root_.line = line_of(mark);
      return root_;
    }
    Open& parent = open_.back();
    if (parent.value->kind == Kind::list) return add_child(mark);
    parent.has_named_field = false;
    return parent.value->children.back();
  }

  void open(Kind kind, const YAML::Mark& mark, std::string_view tag, YAML::anchor_t anchor) {
    if (open_.size() == kDepthMax)
      throw Refusal(mark, fmt::format("more than {} maps and lists inside one another", kDepthMax),
                    "a configuration needs 5");
    RawValue& value = place(mark, tag, anchor);
    value.kind = kind;
    open_.push_back({&value});
  }

  RawValue root_;
  std::vector<Open> open_;
  std::size_t values_ = 0;
  bool has_document_ = false;
};

// The control characters that YAML 1.2.2 section 5.1 forbids. yaml-cpp takes 0x04 for the end of the file.
bool is_forbidden(char each) {
  const auto byte = static_cast<unsigned char>(each);
  return byte == 0x7f || (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r');
}

std::string thing(const std::string& file_name, const YAML::Mark& mark) {
  return mark.is_null() ? file_name : fmt::format("{}:{}", file_name, line_of(mark));
}

// What must hold before yaml-cpp may see the text.
core::Result<void> check_text(const std::string& text, const std::string& file_name) {
  constexpr std::string_view kMend = "share the services among several engines";
  if (text.size() > kFileBytesMax)
    return core::usage_error(file_name, fmt::format("more than {} bytes", kFileBytesMax), std::string(kMend));
  if (const auto at = std::find_if(text.begin(), text.end(), is_forbidden); at != text.end())
    return core::usage_error(fmt::format("{}:{}", file_name, 1 + std::count(text.begin(), at, '\n')),
                             fmt::format("byte 0x{:02x}, which is no text", *at),
                             "save the file as UTF-8 text");
  // Within brackets yaml-cpp reads ahead to the closing one, at some 200 bytes of memory for each of these
  // characters, before the Builder can count values. A value of a good file has about two of them, in JSON as
  // well.
  constexpr auto kMarksMax = static_cast<std::ptrdiff_t>(3 * kValuesMax);
  const auto is_mark = [](char each) {
    return std::string_view("[{,:?").find(each) != std::string_view::npos;
  };
  if (std::count_if(text.begin(), text.end(), is_mark) > kMarksMax)
    return core::usage_error(
        file_name, fmt::format("more than {} brackets, commas, colons or question marks", kMarksMax),
        std::string(kMend));
  return {};
}

}  // namespace

core::Result<RawValue> read_yaml(const std::string& text, const std::string& file_name) {
  if (auto good = check_text(text, file_name); !good) return tl::unexpected(good.error());
  Builder builder;
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Refusal& refusal) {
    return core::usage_error(thing(file_name, refusal.mark), refusal.msg, refusal.mend);
  } catch (const YAML::Exception& error) {
    return core::usage_error(thing(file_name, error.mark), "not YAML: " + one_line(error.msg),
                             "look at indentation, colons, brackets and quotes up to there");
  }
  RawValue root = builder.take();
  if (root.kind == Kind::nothing)
    return core::usage_error(file_name, "empty", "write at least `services: []`");
  return root;
}

}  // namespace nfsteer::config
