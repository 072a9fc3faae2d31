// The C interface for policies (nfsteer/policy.h) for C++17 and later: a policy is a class, and what it
// throws becomes an error instead of the end of the process.
//
//   class Mine {
//    public:
//     explicit Mine(const nfsteer::Input& input);  // throws to refuse: the text is shown to the user
//     std::uint32_t pick(const nfsteer_flow& flow, nfsteer_context& context) const;
//     void tick(std::uint64_t now_ns);             // may be left out
//   };
//   NFSTEER_POLICY(Mine, "mine", 0)
//
// pick() runs on several threads at a time, hence const; what it remembers is per context.worker or atomic.
// Compile with -fno-gnu-unique where the compiler has it: without, the statics of templates are shared
// between the versions of a policy, and none of them can be unloaded.
#ifndef NFSTEER_POLICY_HPP
#define NFSTEER_POLICY_HPP

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "nfsteer/policy.h"

namespace nfsteer {

// A built-in policy. Valid for as long as the policy that has made it.
class Builtin {
 public:
  // `spec` as in a configuration: "maglev,table_size=5003". Throws what the host says.
  Builtin(const char* spec, const nfsteer_input& input)
      : host_(input.host), self_(make(spec, input), input.host->builtin_destroy) {}

  std::uint32_t pick(const nfsteer_flow& flow, nfsteer_context& context) const {
    return host_->builtin_pick(self_.get(), &flow, &context);
  }
  void tick(std::uint64_t now_ns) { host_->builtin_tick(self_.get(), now_ns); }

 private:
  static void* make(const char* spec, const nfsteer_input& input) {
    char error[512] = "";
    void* self = input.host->builtin_create(spec, &input, error, sizeof error);
    if (self == nullptr) throw std::invalid_argument(error);
    return self;
  }

  const nfsteer_host* host_;
  std::unique_ptr<void, void (*)(void*)> self_;
};

// What a policy is made from: a list of its backends, and its options. Valid while its constructor runs.
class Input {
 public:
  explicit Input(const nfsteer_input& raw) : raw_(raw) {}

  const nfsteer_input& raw() const { return raw_; }
  const nfsteer_host& host() const { return *raw_.host; }  // valid for as long as the process
  std::uint32_t workers() const { return raw_.workers; }

  std::uint32_t size() const { return raw_.backend_count; }
  const nfsteer_backend* begin() const { return raw_.backends; }
  const nfsteer_backend* end() const { return raw_.backends + raw_.backend_count; }
  const nfsteer_backend& operator[](std::uint32_t index) const { return raw_.backends[index]; }

  // An option as it is given, or `otherwise`.
  std::string text(const char* name, std::string otherwise) const {
    for (std::uint32_t each = 0; each < raw_.option_count; ++each)
      if (std::strcmp(raw_.options[each].name, name) == 0) return raw_.options[each].value;
    return otherwise;
  }
  // An option that is a whole number.
  std::uint64_t number(const char* name, std::uint64_t otherwise) const {
    const std::string given = text(name, std::to_string(otherwise));
    char* end = nullptr;
    const unsigned long long value = std::strtoull(given.c_str(), &end, 10);
    if (given.empty() || given[0] < '0' || given[0] > '9' || *end != '\0')
      throw std::invalid_argument("option " + std::string(name) + ": \"" + given +
                                  "\" is not a whole number");
    return value;
  }
  // Refuses an option that is none of these.
  template <typename... Name>
  void only(Name... names) const {
    for (std::uint32_t each = 0; each < raw_.option_count; ++each)
      if (!((std::strcmp(raw_.options[each].name, names) == 0) || ...))
        throw std::invalid_argument("there is no option " + std::string(raw_.options[each].name));
  }

 private:
  const nfsteer_input& raw_;
};

// The functions of nfsteer_policy for a class.
template <typename Policy>
struct Functions {
  static void* create(const nfsteer_input* input, char* error, std::size_t error_size) noexcept {
    try {
      return new Policy(Input(*input));
    } catch (const std::exception& thrown) {
      refuse(thrown.what(), error, error_size);
    } catch (...) {
      refuse("its constructor threw something that is no std::exception", error, error_size);
    }
    return nullptr;
  }
  static std::uint32_t pick(void* self, const nfsteer_flow* flow, nfsteer_context* context) noexcept {
    try {
      return static_cast<const Policy*>(self)->pick(*flow, *context);
    } catch (...) {
      return NFSTEER_FAILED;
    }
  }
  static void destroy(void* self) noexcept { delete static_cast<Policy*>(self); }

  template <typename P, typename = void>
  struct Tick {
    static constexpr void (*call)(void*, std::uint64_t) = nullptr;
  };
  template <typename P>
  struct Tick<P, std::void_t<decltype(std::declval<P&>().tick(std::uint64_t{}))>> {
    static void call(void* self, std::uint64_t now_ns) noexcept {
      try {
        static_cast<P*>(self)->tick(now_ns);
      } catch (...) {  // there is nobody to tell
      }
    }
  };

  static nfsteer_policy table(const char* name, std::uint32_t flags) {
    return {NFSTEER_POLICY_ABI, sizeof(nfsteer_policy), name, flags, 0, create, pick, destroy,
            Tick<Policy>::call};
  }

 private:
  static void refuse(const char* reason, char* error, std::size_t error_size) {
    if (error_size == 0) return;
    std::strncpy(error, reason, error_size - 1);
    error[error_size - 1] = '\0';
  }
};

}  // namespace nfsteer

// `flags`: 0 or NFSTEER_USES_LIVE.
#define NFSTEER_POLICY(Class, name, flags)                                               \
  extern "C" NFSTEER_EXPORT const nfsteer_policy* nfsteer_policy_entry(void) {           \
    static const nfsteer_policy table = ::nfsteer::Functions<Class>::table(name, flags); \
    return &table;                                                                       \
  }

#endif
