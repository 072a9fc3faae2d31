// Rights and files that are given away.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "confine/privileges.hpp"

namespace nfsteer::confine {
namespace {

constexpr gid_t kOtherGroup = 54321;

class GiveAway : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root gives files away";
    std::string name = (std::filesystem::temp_directory_path() / "nfsteer-give-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    std::ofstream(file()) << "ours";
    ASSERT_EQ(chown(file().c_str(), 0, 0), 0);
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  std::string file() const { return folder_ / "file"; }
  static gid_t group_of(const std::string& path) {
    struct stat status {};
    EXPECT_EQ(lstat(path.c_str(), &status), 0);
    return status.st_gid;
  }

  std::filesystem::path folder_;
};

TEST_F(GiveAway, WhatIsOursChangesHands) {
  EXPECT_EQ(give_away(file(), static_cast<uid_t>(-1), kOtherGroup), 0);
  EXPECT_EQ(group_of(file()), kOtherGroup);
  EXPECT_EQ(give_away(folder_ / "none", static_cast<uid_t>(-1), kOtherGroup), ENOENT);
}

// As whoever may write to the folder could put there between making and giving.
TEST_F(GiveAway, NeitherWhatALinkLeadsToNorWhatIsAnothers) {
  const std::string link = folder_ / "link";
  std::filesystem::create_symlink(file(), link);
  EXPECT_EQ(give_away(link, static_cast<uid_t>(-1), kOtherGroup), ELOOP);
  EXPECT_EQ(group_of(file()), 0U);
  ASSERT_EQ(chown(file().c_str(), kNobody, static_cast<gid_t>(-1)), 0);
  EXPECT_EQ(give_away(file(), static_cast<uid_t>(-1), kOtherGroup), EPERM);
  EXPECT_EQ(group_of(file()), 0U);
}

}  // namespace
}  // namespace nfsteer::confine
