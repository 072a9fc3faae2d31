#include "plugin/trial_input.hpp"

#include <cstring>

namespace nfsteer::plugin {
namespace {

void put(std::string& bytes, std::uint64_t number) {
  bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
}

void put(std::string& bytes, std::string_view text) {
  put(bytes, text.size());
  bytes.append(text);
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}

  std::uint64_t number() {
    std::uint64_t value = 0;
    const std::string_view bytes = take(sizeof value);
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  std::string_view text() { return take(number()); }
  // How many of something that takes at least a byte each.
  std::uint64_t count() {
    const std::uint64_t value = number();
    if (value > left_.size()) failed_ = true;
    return failed_ ? 0 : value;
  }
  bool is_done() const { return left_.empty() && !failed_; }
  bool failed() const { return failed_; }

 private:
  std::string_view take(std::uint64_t size) {
    if (failed_ || size > left_.size()) {
      failed_ = true;
      return {};
    }
    const std::string_view bytes = left_.substr(0, size);
    left_.remove_prefix(size);
    return bytes;
  }

  std::string_view left_;
  bool failed_ = false;
};

std::optional<core::IpAddress> address_of(std::string_view bytes) {
  if (bytes.size() != 4 && bytes.size() != 16) return std::nullopt;
  const auto family = bytes.size() == 4 ? core::Family::ipv4 : core::Family::ipv6;
  return core::IpAddress::from_bytes(family,
                                     {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

}  // namespace

std::string TrialInput::encode() const {
  std::string bytes;
  put(bytes, workers);
  put(bytes, budget_ns);
  put(bytes, std::uint64_t{is_live});
  put(bytes, options.size());
  for (const core::PolicySpec::Option& each : options) {
    put(bytes, each.name);
    put(bytes, each.value);
  }
  put(bytes, backends.size());
  for (const core::Backend& each : backends) {
    const auto address = each.address.bytes();
    put(bytes, std::string_view(reinterpret_cast<const char*>(address.data()), address.size()));
    put(bytes, each.port);
    put(bytes, each.weight);
    put(bytes, each.data);
  }
  return bytes;
}

std::optional<TrialInput> TrialInput::decode(std::string_view bytes) {
  Reader reader(bytes);
  TrialInput input;
  input.workers = static_cast<std::uint32_t>(reader.number());
  input.budget_ns = reader.number();
  input.is_live = reader.number() != 0;
  for (std::uint64_t left = reader.count(); left > 0 && !reader.failed(); --left) {
    core::PolicySpec::Option& option = input.options.emplace_back();
    option.name = reader.text();
    option.value = reader.text();
  }
  for (std::uint64_t left = reader.count(); left > 0 && !reader.failed(); --left) {
    core::Backend& backend = input.backends.emplace_back();
    const auto address = address_of(reader.text());
    if (!address) return std::nullopt;
    backend.address = *address;
    backend.port = static_cast<std::uint16_t>(reader.number());
    backend.weight = static_cast<std::uint32_t>(reader.number());
    backend.data = reader.text();
  }
  if (!reader.is_done() || input.workers == 0) return std::nullopt;
  return input;
}

}  // namespace nfsteer::plugin
