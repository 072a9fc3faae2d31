// Other programs: their input, output, errors and end.
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "process/run_program.hpp"

namespace nfsteer::process {
namespace {

class RunProgram : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(output_); }
  std::string written() const {
    std::ifstream file(output_);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string output_ = testing::TempDir() + "nfsteer-run-program-" + std::to_string(getpid());
};

TEST_F(RunProgram, InputBecomesOutputAsItIs) {
  const std::string large(1 << 20, 'x');  // more than a pipe holds
  ASSERT_TRUE(run_program({"cat"}, large, output_));
  EXPECT_EQ(written(), large);
  ASSERT_TRUE(run_program({"true"}, large, output_));  // reads none of it
  EXPECT_EQ(written(), "");
}

TEST_F(RunProgram, ArgumentsMeetNoShell) {
  ASSERT_TRUE(run_program({"printf", "%s|", "a b", "$(x)", "'\"`"}, "", output_));
  EXPECT_EQ(written(), "a b|$(x)|'\"`|");
}

TEST_F(RunProgram, TellsHowItEnded) {
  const auto ended = run_program({"sh", "-c", "echo wrong >&2; exit 3"}, "", output_);
  ASSERT_TRUE(ended);
  EXPECT_EQ(WEXITSTATUS(ended->status), 3);
  EXPECT_EQ(ended->errors, "wrong\n");
}

TEST_F(RunProgram, WhatCannotBeRunOrWrittenIsAnError) {
  const auto none = run_program({"nfsteer-no-such-program"}, "", output_);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().line(), "nfsteer-no-such-program: cannot be run: No such file or directory");
  const auto nowhere = run_program({"true"}, "", "/nowhere/file");
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().line(), "/nowhere/file: cannot be written: No such file or directory");
}

}  // namespace
}  // namespace nfsteer::process
