// A watched file, changed in every way that editors, operators and Kubernetes have.
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "process/file_watch.hpp"

namespace nfsteer::process {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

void write(const fs::path& file, const std::string& text) {
  std::ofstream(file) << text;
}

class FileWatchTest : public testing::Test {
 protected:
  FileWatchTest() { write(file_, "one"); }
  ~FileWatchTest() override {
    watch_.reset();
    fs::remove_all(folder_);
  }

  void watch(const fs::path& path) {
    auto started = FileWatch::start(io_, path, [this] { ++changes_; });
    ASSERT_TRUE(started) << started.error().line();
    watch_ = *std::move(started);
  }

  // How often it has called back by the time it has called `enough` times.
  int changes(int enough = 1) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (changes_ < enough && std::chrono::steady_clock::now() < end)
      io_.run_for(10ms);
    return changes_;
  }
  // How often, once nothing can come any more.
  int settled_changes() {
    io_.run_for(3 * FileWatch::kQuiet);
    return changes_;
  }

  fs::path folder_ = [] {
    std::string name = fs::temp_directory_path() / "nfsteer-watch-XXXXXX";
    return fs::path(mkdtemp(name.data()));
  }();
  fs::path file_ = folder_ / "nfsteer.yaml";
  boost::asio::io_context io_;
  std::unique_ptr<FileWatch> watch_;
  int changes_ = 0;
};

TEST_F(FileWatchTest, AFileThatIsWrittenIsAChange) {
  watch(file_);
  write(file_, "two");
  EXPECT_EQ(changes(), 1);
  write(file_, "three");
  EXPECT_EQ(changes(2), 2);
}

TEST_F(FileWatchTest, AFileThatAnEditorReplacesIsAChange) {
  watch(file_);
  for (int save = 1; save <= 3; ++save) {
    const fs::path fresh = folder_ / ".nfsteer.yaml.swp";
    write(fresh, "saved " + std::to_string(save));
    fs::rename(fresh, file_);
    EXPECT_EQ(changes(save), save);
  }
}

TEST_F(FileWatchTest, AnEditorThatKeepsABackupIsSeenToo) {
  watch(file_);
  fs::rename(file_, folder_ / "nfsteer.yaml~");
  write(file_, "two");
  EXPECT_EQ(changes(), 1);
  EXPECT_EQ(settled_changes(), 1);
}

TEST_F(FileWatchTest, TheSameBytesAreNoChange) {
  watch(file_);
  write(file_, "one");
  fs::last_write_time(file_, fs::file_time_type::clock::now());
  fs::permissions(file_, fs::perms::owner_read);
  const fs::path fresh = folder_ / "fresh";
  write(fresh, "one");
  fs::rename(fresh, file_);
  EXPECT_EQ(settled_changes(), 0);
  write(file_, "two");
  EXPECT_EQ(changes(), 1) << "it still watches";
}

TEST_F(FileWatchTest, ABurstOfWritesIsOneChange) {
  watch(file_);
  for (int i = 0; i < 50; ++i) {
    write(file_, "draft " + std::to_string(i));
    io_.run_for(1ms);
  }
  EXPECT_EQ(changes(), 1);
  EXPECT_EQ(settled_changes(), 1);
}

TEST_F(FileWatchTest, AFileThatNeverRestsIsReadNevertheless) {
  watch(file_);
  const auto end = std::chrono::steady_clock::now() + 10s;
  for (int i = 0; changes_ == 0 && std::chrono::steady_clock::now() < end; ++i) {
    write(file_, "line " + std::to_string(i));
    io_.run_for(FileWatch::kQuiet / 5);
  }
  EXPECT_EQ(changes_, 1);
}

TEST_F(FileWatchTest, OtherFilesOfTheFolderAreNoChange) {
  watch(file_);
  write(folder_ / "other.yaml", "x");
  fs::create_directory(folder_ / "nfsteer.yaml.d");
  EXPECT_EQ(settled_changes(), 0);
}

// ConfigMap volumes: file -> ..data/file, ..data -> ..<time>/, and ..data is replaced by a rename.
TEST_F(FileWatchTest, ALinkSwappedAsKubernetesDoesIsAChange) {
  const fs::path volume = folder_ / "volume";
  const auto publish = [&](const std::string& version, const std::string& text) {
    fs::create_directories(volume / version);
    write(volume / version / "nfsteer.yaml", text);
    fs::create_directory_symlink(version, volume / "..data_tmp");
    fs::rename(volume / "..data_tmp", volume / "..data");
  };
  publish("..2026_01", "one");
  fs::create_symlink("..data/nfsteer.yaml", volume / "nfsteer.yaml");
  watch(volume / "nfsteer.yaml");
  publish("..2026_02", "two");
  fs::remove_all(volume / "..2026_01");
  EXPECT_EQ(changes(), 1);
  publish("..2026_03", "two");
  fs::remove_all(volume / "..2026_02");
  EXPECT_EQ(settled_changes(), 1) << "another version, the same bytes";
  publish("..2026_04", "three");
  EXPECT_EQ(changes(2), 2) << "it follows the link as often as it moves";
}

TEST_F(FileWatchTest, WhatALinkPointsToIsWatchedWhereverItIs) {
  const fs::path elsewhere = folder_ / "elsewhere";
  fs::create_directory(elsewhere);
  write(elsewhere / "real.yaml", "one");
  fs::remove(file_);
  fs::create_symlink("elsewhere/../elsewhere/real.yaml", file_);
  watch(file_);
  write(elsewhere / "real.yaml", "two");
  EXPECT_EQ(changes(), 1);
}

TEST_F(FileWatchTest, AFolderThatVanishesAndComesBackIsWatchedAgain) {
  const fs::path deep = folder_ / "a" / "b";
  fs::create_directories(deep);
  write(deep / "nfsteer.yaml", "one");
  watch(deep / "nfsteer.yaml");
  fs::remove_all(folder_ / "a");
  EXPECT_EQ(settled_changes(), 0) << "there is nothing to read";
  fs::create_directories(deep);
  io_.run_for(2 * FileWatch::kQuiet);
  write(deep / "nfsteer.yaml", "two");
  EXPECT_EQ(changes(), 1);
  fs::rename(folder_ / "a", folder_ / "away");
  io_.run_for(2 * FileWatch::kQuiet);
  fs::create_directories(deep);
  write(deep / "nfsteer.yaml", "three");
  EXPECT_EQ(changes(2), 2);
  write(folder_ / "away" / "b" / "nfsteer.yaml", "not ours any more");
  EXPECT_EQ(settled_changes(), 2);
}

TEST_F(FileWatchTest, AFileThatComesBackUnchangedIsNoChange) {
  watch(file_);
  fs::rename(file_, folder_ / "away");
  EXPECT_EQ(settled_changes(), 0);
  fs::rename(folder_ / "away", file_);
  EXPECT_EQ(settled_changes(), 0);
}

TEST_F(FileWatchTest, OnlyARegularFileCanBeWatched) {
  const fs::path fifo = folder_ / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  for (const fs::path& each : {fifo, folder_, folder_ / "absent", fs::path("/dev/null")}) {
    const auto refused = FileWatch::start(io_, each, [] {});
    ASSERT_FALSE(refused) << each;
    EXPECT_EQ(refused.error().exit_code(), 2);
    EXPECT_THAT(refused.error().line(), testing::StartsWith(each.string() + ": "));
  }
}

TEST_F(FileWatchTest, ARelativePathIsThatOfTheStart) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_);
  watch("nfsteer.yaml");
  fs::current_path(before);
  write(file_, "two");
  EXPECT_EQ(changes(), 1);
}

TEST_F(FileWatchTest, LookupsFollowLinksAndEndAtALoop) {
  fs::create_symlink("there", folder_ / "here");
  fs::create_symlink("here", folder_ / "there");
  const auto lookups = lookups_of(folder_ / "here");
  EXPECT_GT(lookups.size(), 10U);
  EXPECT_LT(lookups.size(), 100U);
  EXPECT_EQ(lookups.back().folder, fs::canonical(folder_).string());
}

}  // namespace
}  // namespace nfsteer::process
