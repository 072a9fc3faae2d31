#include "process/file_watch.hpp"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>
#include <system_error>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "process/log.hpp"

namespace nfsteer::process {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kLinksMax = 40;  // as path_resolution(7)
// IN_CLOSE_WRITE rather than IN_MODIFY: who still writes is not done. IN_ATTRIB: may have become readable.
constexpr std::uint32_t kEvents = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE |
                                  IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

// FNV-1a of a regular file's bytes; nothing if there is none to read.
std::optional<std::uint64_t> hash_of(const std::string& path) {
  // O_NONBLOCK: a FIFO must not hold us up.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return std::nullopt;
  struct stat status {};
  std::optional<std::uint64_t> hash;
  if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) hash = 0xcbf29ce484222325U;
  std::array<unsigned char, 65536> chunk{};
  while (hash) {
    const ssize_t got = read(fd, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) hash.reset();
    if (got <= 0) break;
    for (ssize_t i = 0; i < got; ++i)
      hash = (*hash ^ chunk[static_cast<std::size_t>(i)]) * 0x100000001b3U;
  }
  close(fd);
  return hash;
}

core::Failure cannot_watch(const std::string& path, int error) {
  if (error == EMFILE)
    return core::system_error(path, "cannot be watched: too many inotify instances",
                              "raise sysctl fs.inotify.max_user_instances");
  if (error == ENOSPC)
    return core::system_error(path, "cannot be watched: too many inotify watches",
                              "raise sysctl fs.inotify.max_user_watches");
  return core::system_error(path, fmt::format("cannot be watched: {}", std::strerror(error)));
}

}  // namespace

std::vector<Lookup> lookups_of(const std::string& path) {
  std::error_code error;
  const fs::path whole = fs::absolute(path, error);
  std::deque<fs::path> left(whole.begin(), whole.end());
  std::vector<Lookup> lookups;
  fs::path folder = "/";
  for (unsigned links = 0; !left.empty();) {
    const fs::path name = left.front();
    left.pop_front();
    if (name.is_absolute()) {
      folder = "/";
    } else if (name == "..") {
      folder = folder.parent_path();
    } else if (!name.empty() && name != ".") {
      lookups.push_back({folder, name});
      const fs::path found = folder / name;
      const fs::file_status status = fs::symlink_status(found, error);
      if (fs::is_symlink(status) && ++links <= kLinksMax) {
        const fs::path target = fs::read_symlink(found, error);
        left.insert(left.begin(), target.begin(), target.end());
      } else if (fs::is_directory(status)) {
        folder = found;
      } else {
        break;
      }
    }
  }
  return lookups;
}

core::Result<std::unique_ptr<FileWatch>> FileWatch::start(boost::asio::io_context& io,
                                                          const std::string& path, Changed changed) {
  const int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) return cannot_watch(path, errno);
  std::error_code error;
  std::unique_ptr<FileWatch> watch(new FileWatch(io, fs::absolute(path, error), std::move(changed)));
  watch->inotify_.assign(fd);
  if (auto watched = watch->watch_folders(); !watched) return tl::unexpected(watched.error());
  watch->hash_ = hash_of(path);
  if (!watch->hash_)
    return core::usage_error(path, "cannot be watched: it is not a readable, regular file",
                             "give a file, or do not ask for it to be watched");
  watch->read_events();
  return watch;
}

FileWatch::FileWatch(boost::asio::io_context& io, std::string path, Changed changed)
    : path_(std::move(path)), changed_(std::move(changed)), inotify_(io), timer_(io) {}

void FileWatch::read_events() {
  inotify_.async_read_some(boost::asio::buffer(events_),
                           [this](const boost::system::error_code& error, std::size_t bytes) {
                             if (error == boost::asio::error::operation_aborted) return;
                             if (error)
                               return spdlog::error("{} is watched no more: {}", path_, error.message());
                             if (concerns_us(bytes)) settle();
                             read_events();
                           });
}

bool FileWatch::concerns_us(std::size_t bytes) const {
  for (std::size_t at = 0; at + sizeof(inotify_event) <= bytes;) {
    inotify_event event{};
    std::memcpy(&event, events_ + at, sizeof event);
    const char* name = event.len == 0 ? "" : events_ + at + sizeof event;
    at += sizeof event + event.len;
    if ((event.mask & (IN_Q_OVERFLOW | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) != 0) return true;
    const auto known = names_.find(event.wd);
    if (known != names_.end() && known->second.contains(name)) return true;
  }
  return false;
}

// Events come in bursts: a look once they are over, or have gone on for long.
void FileWatch::settle() {
  const auto now = std::chrono::steady_clock::now();
  if (!unsettled_since_) unsettled_since_ = now;
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(*unsettled_since_ + kDelayMax - now);
  look_after(std::clamp(left, std::chrono::milliseconds(0), kQuiet));
}

void FileWatch::look_after(std::chrono::milliseconds time) {
  timer_.expires_after(time);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) look();
  });
}

void FileWatch::look() {
  unsettled_since_.reset();
  if (auto watched = watch_folders(); !watched) {
    log_limited(spdlog::level::warn, "watching the file: {}", watched.error().line());
    look_after(kRetry);
  }
  const auto hash = hash_of(path_);
  if (!hash || hash == hash_) return;
  hash_ = hash;
  changed_();
}

// Watches are set first, and only then is the way looked at again: what changes between the two is found.
core::Result<void> FileWatch::watch_folders() {
  std::vector<Lookup> lookups = lookups_of(path_);
  for (unsigned tries = 0; tries < 10; ++tries) {
    std::map<int, std::set<std::string>> names;
    for (const Lookup& each : lookups) {
      const int watch = inotify_add_watch(inotify_.native_handle(), each.folder.c_str(), kEvents);
      if (watch >= 0) {
        names[watch].insert(each.name);
      } else if (errno != ENOENT && errno != ENOTDIR) {
        return cannot_watch(each.folder, errno);
      }
    }
    for (const auto& [watch, ours] : names_)
      if (!names.contains(watch)) inotify_rm_watch(inotify_.native_handle(), watch);
    names_ = std::move(names);
    std::vector<Lookup> again = lookups_of(path_);
    if (again == lookups) return {};
    lookups = std::move(again);
  }
  return core::system_error(path_, "the way to it changes faster than it can be watched");
}

}  // namespace nfsteer::process
