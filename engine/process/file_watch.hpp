// Watches one file by inotify(7) and calls back when its content has changed.
//
// Watched are the folders in which a name is looked up on the way to the file, links included, never the file
// itself: so a file that an editor replaces, a link that is pointed elsewhere (as Kubernetes does with ..data
// of a ConfigMap), and a folder that vanishes and comes back are all seen. What inotify does not see goes
// unseen: writes of another host to a network file system, and a file system that is mounted over a folder.
//
// Content counts, by its hash: a touch, or a rewrite of the same bytes, is no change. While the file is
// absent or unreadable nothing is called, as there is nothing to read.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "core/result.hpp"

namespace nfsteer::process {

// A name that is looked up in a folder; the folder is absolute and free of links.
struct Lookup {
  std::string folder;
  std::string name;
  friend bool operator==(const Lookup&, const Lookup&) = default;
};

// The lookups on the way to `path`, first to last, up to the first name that does not exist.
std::vector<Lookup> lookups_of(const std::string& path);

class FileWatch {
 public:
  using Changed = std::function<void()>;

  // A change counts once nothing more has happened for kQuiet, or kDelayMax after its beginning.
  static constexpr std::chrono::milliseconds kQuiet{100};
  static constexpr std::chrono::milliseconds kDelayMax{2000};
  static constexpr std::chrono::seconds kRetry{5};  // where a folder cannot be watched

  // `changed` is called on the io_context's thread, for changes from this call on. Errors: `path` is no
  // regular file, inotify's limits.
  static core::Result<std::unique_ptr<FileWatch>> start(boost::asio::io_context& io, const std::string& path,
                                                        Changed changed);
  // Not from within `changed`; the io_context runs nothing of this any more.
  ~FileWatch() = default;
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

 private:
  FileWatch(boost::asio::io_context& io, std::string path, Changed changed);

  void read_events();
  bool concerns_us(std::size_t bytes) const;
  void settle();
  void look_after(std::chrono::milliseconds time);
  void look();
  core::Result<void> watch_folders();

  std::string path_;
  Changed changed_;
  boost::asio::posix::stream_descriptor inotify_;
  boost::asio::steady_timer timer_;
  std::map<int, std::set<std::string>> names_;  // that matter, by watch descriptor
  std::optional<std::uint64_t> hash_;           // of the content last seen
  std::optional<std::chrono::steady_clock::time_point> unsettled_since_;
  alignas(8) char events_[4096];
};

}  // namespace nfsteer::process
