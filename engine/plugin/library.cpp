#include "plugin/library.hpp"

#include <dlfcn.h>

#include <exception>
#include <utility>

#include <fmt/format.h>

#include "plugin/abi.hpp"

namespace nfsteer::plugin {
namespace {

// dlerror()'s text with the file's own name for the copy's.
std::string loader_error(const std::string& path, const std::string& from) {
  const char* text = dlerror();
  std::string reason = text == nullptr ? "it cannot be loaded" : text;
  for (auto at = reason.find(from); at != std::string::npos; at = reason.find(from, at + path.size()))
    reason.replace(at, from.size(), path);
  if (reason.starts_with(path + ": ")) reason.erase(0, path.size() + 2);
  return reason;
}

}  // namespace

core::Result<Library> Library::open_copy(const std::string& path,
                                         std::shared_ptr<const confine::Descriptor> image) {
  const std::string from = fmt::format("/proc/self/fd/{}", image->number());
  return open(path, from, RTLD_NOW | RTLD_LOCAL, std::move(image));
}

core::Result<Library> Library::open_in_place(const std::string& path) {
  return open(path, path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE, nullptr);
}

core::Result<Library> Library::open(const std::string& path, const std::string& from, int flags,
                                    std::shared_ptr<const confine::Descriptor> image) {
  dlerror();
  void* handle = dlopen(from.c_str(), flags);
  if (handle == nullptr)
    return core::usage_error(path, loader_error(path, from),
                             "a policy is a shared object: cc -shared -fPIC, with all that it needs");
  // Closes the handle wherever this ends early.
  Library library(handle, {}, std::move(image));
  using Entry = const nfsteer_policy* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(handle, kEntrySymbol));
  if (entry == nullptr)
    return core::usage_error(path, fmt::format("it exports no {}()", kEntrySymbol),
                             "define it as nfsteer/policy.h does, as extern \"C\" and NFSTEER_EXPORT");
  try {
    auto table = check_table(path, entry());
    if (!table) return tl::unexpected(table.error());
    library.table_ = *table;
  } catch (...) {
    return core::usage_error(path, fmt::format("{}() threw an exception", kEntrySymbol));
  }
  return library;
}

Library::~Library() {
  if (handle_ != nullptr) dlclose(handle_);
}

Library::Library(Library&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), table_(other.table_), image_(std::move(other.image_)) {}

}  // namespace nfsteer::plugin
