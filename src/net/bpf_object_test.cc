// An embedded eBPF object: found in the program, run by the kernel where it may be loaded, and a sentence where it may not.
#include "net/bpf_object.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "net/in_namespace.h"

namespace nora::net {
namespace {

NORA_BPF_OBJECT(bpf_object_test)

TEST(BpfObject, IsInTheProgramWithItsProgramsAndMaps) {
  const auto o = BpfObject::open(bpf_bytes_bpf_object_test(), "test");
  ASSERT_TRUE(o) << o.error().text();
  EXPECT_NE(bpf_object__find_program_by_name(o->get(), "count"), nullptr);
  EXPECT_NE(bpf_object__find_map_by_name(o->get(), "frames"), nullptr);
  EXPECT_EQ(bpf_object__find_map_by_name(o->get(), "nosuch"), nullptr);
}

TEST(BpfObject, DamagedBytesAreAnError) {
  const auto bytes = bpf_bytes_bpf_object_test();
  EXPECT_FALSE(BpfObject::open(bytes.first(bytes.size() / 2), "test"));
  EXPECT_FALSE(BpfObject::open({}, "test"));
}

TEST(BpfObject, RunsWhereItMayBeLoadedAndSaysSoWhereItMayNot) {
  auto o = BpfObject::open(bpf_bytes_bpf_object_test(), "test");
  ASSERT_TRUE(o);
  if (const Status s = o->load(); !s) {  // an unprivileged run
    EXPECT_EQ(s.error().code, Code::environment);
    EXPECT_NE(s.error().text().find("CAP_BPF"), std::string::npos) << s.error().text();
    return;
  }
  std::array<char, 64> frame{};
  LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.data(), .data_size_in = frame.size(), .repeat = 5);
  ASSERT_EQ(bpf_prog_test_run_opts(o->program("count"), &run), 0);
  const std::uint32_t at = 0;
  std::uint64_t n = 0;
  ASSERT_EQ(bpf_map_lookup_elem(o->map("frames"), &at, &n), 0);
  EXPECT_EQ(n, 5u);
  EXPECT_EQ(o->program("nosuch"), -1);
}

TEST(BpfObject, AUserNamespaceMayNotLoadIt) {
  const int code = in_namespace("true", [] {
    auto o = BpfObject::open(bpf_bytes_bpf_object_test(), "test");
    if (!o) return 1;
    const Status s = o->load();
    return !s && s.error().code == Code::environment && s.error().what.find("test") != std::string::npos ? 0 : 2;
  });
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace nora::net
