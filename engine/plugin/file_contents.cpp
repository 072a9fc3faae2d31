#include "plugin/file_contents.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>

#include <fmt/format.h>

namespace nfsteer::plugin {
namespace {

core::Failure failure(const std::string& path, int error) {
  std::string mend;
  if (error == ENOENT) mend = "build it first, and name it from the root directory on";
  if (error == EACCES) mend = "the engine's user must be able to read it and to enter its directories";
  return core::usage_error(path, std::strerror(error), mend);
}

// What is wrong with who may write to it.
core::Result<void> check_owner(const std::string& path, const std::string& thing, const struct stat& info) {
  if (info.st_uid != 0 && info.st_uid != geteuid())
    return core::usage_error(
        path,
        fmt::format("{} belongs to user {}, neither to root nor to the engine's user", thing, info.st_uid),
        fmt::format("install a copy: sudo install -D {} /usr/local/lib/nfsteer/{}", path,
                    std::filesystem::path(path).filename().string()));
  // In a directory with the sticky bit nobody can replace a file of others.
  const bool is_shared_folder = S_ISDIR(info.st_mode) && (info.st_mode & S_ISVTX) != 0;
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0 && !is_shared_folder)
    return core::usage_error(
        path,
        fmt::format("{} may be written by {}", thing,
                    (info.st_mode & S_IWOTH) != 0 ? "everybody" : fmt::format("group {}", info.st_gid)),
        fmt::format("chmod go-w {}",
                    S_ISDIR(info.st_mode) ? std::filesystem::path(path).parent_path().string() : path));
  return {};
}

core::Result<std::string> read_all(const std::string& path, int file, std::size_t size) {
  std::string contents(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = read(file, contents.data() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(path, errno);
    if (got == 0) return core::system_error(path, "it was changed while it was read", "try again");
    done += static_cast<std::size_t>(got);
  }
  return contents;
}

}  // namespace

core::Result<std::string> read_policy_file(const std::string& path) {
  // Opening a FIFO would wait for who writes to it.
  const confine::Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return failure(path, errno);
  struct stat info {};
  if (fstat(file.number(), &info) != 0) return failure(path, errno);
  if (!S_ISREG(info.st_mode)) return core::usage_error(path, "not a regular file", "name a .so or .py:CLASS");
  if (auto checked = check_owner(path, "it", info); !checked) return tl::unexpected(checked.error());
  // Of the file itself, where `path` is a link to it.
  std::error_code failed;
  const std::filesystem::path real = std::filesystem::canonical(path, failed);
  struct stat folder {};
  if (failed || stat(real.parent_path().c_str(), &folder) != 0)
    return failure(path, failed ? failed.value() : errno);
  if (auto checked = check_owner(real.string(), "its directory", folder); !checked)
    return tl::unexpected(checked.error());
  const auto size = static_cast<std::size_t>(info.st_size);
  if (size > kPolicyFileMax)
    return core::usage_error(path, fmt::format("{} MiB long, more than {}", size >> 20, kPolicyFileMax >> 20),
                             "strip it of debug information");
  return read_all(path, file.number(), size);
}

core::Result<confine::Descriptor> memory_file(const std::string& name, const std::string& contents) {
  confine::Descriptor file(memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return core::system_error(name, fmt::format("memfd_create: {}", std::strerror(errno)));
  std::size_t done = 0;
  while (done < contents.size()) {
    const ssize_t put = write(file.number(), contents.data() + done, contents.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0)
      return core::system_error(name, fmt::format("no memory for a copy: {}", std::strerror(errno)));
    done += static_cast<std::size_t>(put);
  }
  fcntl(file.number(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  lseek(file.number(), 0, SEEK_SET);
  return file;
}

}  // namespace nfsteer::plugin
