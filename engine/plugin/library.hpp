// A shared object with a policy, loaded from a copy in memory: a file that is written to or replaced while it
// is in use changes nothing here, and its new contents are other code. (dlopen(3) goes by name and inode, and
// would hand out the old one.)
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "confine/descriptor.hpp"
#include "core/result.hpp"
#include "nfsteer/policy.h"

namespace nfsteer::plugin {

inline constexpr const char* kEntrySymbol = "nfsteer_policy_entry";

// Unloaded by the destructor: there must be no policy of it left.
class Library {
 public:
  // From a file in memory; `path` is for errors. Runs the code's constructors.
  static core::Result<Library> open_copy(const std::string& path,
                                         std::shared_ptr<const confine::Descriptor> image);
  // From where it lies, to stay until the process ends: code that must not be unloaded.
  static core::Result<Library> open_in_place(const std::string& path);

  ~Library();
  Library(Library&& other) noexcept;
  Library& operator=(Library&&) = delete;

  const nfsteer_policy& table() const { return table_; }

 private:
  Library(void* handle, nfsteer_policy table, std::shared_ptr<const confine::Descriptor> image)
      : handle_(handle), table_(table), image_(std::move(image)) {}
  static core::Result<Library> open(const std::string& path, const std::string& from, int flags,
                                    std::shared_ptr<const confine::Descriptor> image);

  void* handle_;  // of dlopen(); null: moved from
  nfsteer_policy table_;
  // Open for as long as the code is loaded: the loader knows code by its file's name, which is this number.
  std::shared_ptr<const confine::Descriptor> image_;
};

}  // namespace nfsteer::plugin
