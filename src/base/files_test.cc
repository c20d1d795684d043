#include "base/files.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <signal.h>

namespace nora {
namespace {

TEST(Files, ReplaceLeavesOldOrNew) {
  const std::filesystem::path file = ::testing::TempDir() + "nora-replace-test";
  ASSERT_TRUE(replace_file(file, "old").has_value());
  ASSERT_TRUE(replace_file(file, "new").has_value());
  EXPECT_EQ(*read_file(file), "new");
  // A full disk (here: the file size limit) leaves the old file whole.
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{}, small{10, RLIM_INFINITY};
  getrlimit(RLIMIT_FSIZE, &before);
  small.rlim_max = before.rlim_max;
  setrlimit(RLIMIT_FSIZE, &small);
  const auto failed = replace_file(file, std::string(1000, 'x'));
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_FALSE(failed.has_value());
  EXPECT_NE(failed.error().what.find(file.string()), std::string::npos);
  EXPECT_EQ(*read_file(file), "new");
  std::filesystem::remove(file);
}

TEST(Files, ReadingIsBoundedAndNamesTheFile) {
  const std::filesystem::path file = ::testing::TempDir() + "nora-read-test";
  ASSERT_TRUE(replace_file(file, std::string(100, 'x')).has_value());
  EXPECT_EQ(read_file(file, 99).error().code, Code::bad_input);
  std::filesystem::remove(file);
  EXPECT_EQ(read_file(file).error().code, Code::not_found);
  EXPECT_NE(read_file(file).error().what.find("nora-read-test"), std::string::npos);
}

}  // namespace
}  // namespace nora
