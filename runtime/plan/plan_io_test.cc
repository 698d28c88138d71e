#include "runtime/plan/plan_io.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include <doctest/doctest.h>

#include "plan.pb.h"
#include "runtime/base/file.h"
#include "runtime/base/sha256.h"
#include "runtime/plan/plan_wire.h"
#include "tests/support/temp_folder.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

plan::Plan SmallPlan() {
  plan::Plan plan;
  plan.set_format(kPlanFormat);
  plan.set_edition(1);
  plan.set_migration("torch2ms");
  auto* file = plan.add_files();
  file->set_name("torch2ms.ckmap");
  file->set_sha256(std::string(64, 'a'));
  auto* rename = plan.add_renames();
  rename->mutable_from()->add_parts()->set_literal("fc");
  rename->mutable_to()->add_parts()->set_literal("dense");
  return plan;
}

ErrorCode CodeOf(const std::string& bytes) {
  const auto plan = ParsePlan(bytes);
  REQUIRE_FALSE(plan.ok());
  return plan.error().code();
}

void Put(const TempFolder& folder, const std::string& name, const std::string& bytes) {
  fs::create_directories(fs::path(folder / name).parent_path());
  const int fd = ::open((folder / name).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  REQUIRE(fd >= 0);
  REQUIRE(WriteAt(fd, 0, std::as_bytes(std::span(bytes))).ok());
  ::close(fd);
}

TEST_CASE("a plan is read back as it was, under the digest of its bytes") {
  const std::string bytes = SerializePlan(SmallPlan());
  CHECK(bytes == SerializePlan(SmallPlan()));
  const auto plan = ParsePlan(bytes);
  REQUIRE_MESSAGE(plan.ok(), plan.error().message());
  CHECK(plan->digest() == Sha256Hex(bytes));
  CHECK(plan->proto().migration() == "torch2ms");
  CHECK(plan->proto().source_separator() == ".");
  CHECK(plan->proto().target_separator() == ".");
}

TEST_CASE("a plan of a newer format is refused, naming both") {
  plan::Plan plan = SmallPlan();
  plan.set_format(7);
  const auto result = ParsePlan(SerializePlan(plan));
  REQUIRE_FALSE(result.ok());
  CHECK(result.error().code() == ErrorCode::kMalformed);
  CHECK(result.error().message().find("format 7") != std::string::npos);
  CHECK(result.error().message().find("format 1") != std::string::npos);
}

TEST_CASE("bytes that are no plan are refused") {
  CHECK(CodeOf("") == ErrorCode::kMalformed);
  CHECK(CodeOf("ckmap 1;\nrename fc -> dense;\n") == ErrorCode::kMalformed);
  CHECK(CodeOf(std::string(1000, '\xff')) == ErrorCode::kMalformed);
  CHECK(CodeOf(SerializePlan(SmallPlan()) + "\x0f") == ErrorCode::kMalformed);
  const std::string bytes = SerializePlan(SmallPlan());
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto plan = ParsePlan(bytes.substr(0, size));
    // A cut at a field's end is a shorter plan, which may be a valid one.
    if (!plan) CHECK(plan.error().code() == ErrorCode::kMalformed);
  }
}

TEST_CASE("every flipped bit gives a plan or a clean refusal") {
  const std::string bytes = SerializePlan(SmallPlan());
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const auto plan = ParsePlan(flipped);
    if (!plan) CHECK((plan.error().code() == ErrorCode::kMalformed || plan.error().code() == ErrorCode::kLimit));
  }
}

TEST_CASE("fields and enum values of other versions are refused") {
  const std::string bytes = SerializePlan(SmallPlan());
  CHECK(CodeOf(bytes + std::string("\xf8\x07\x01", 3)) == ErrorCode::kMalformed);  // field 127
  plan::Plan plan = SmallPlan();
  auto* policy = plan.add_policies();
  policy->set_kind(static_cast<plan::TargetPolicy::Kind>(99));
  CHECK(CodeOf(SerializePlan(plan)) == ErrorCode::kMalformed);
}

TEST_CASE("depth, count and size are limited before anything is built") {
  SUBCASE("depth") {
    plan::Plan plan = SmallPlan();
    auto* expr = plan.add_asserts()->mutable_condition();
    for (int i = 0; i < kMaxPlanNesting; ++i) {
      expr->mutable_call()->set_function("not");
      expr = expr->mutable_call()->add_args();
    }
    expr->set_boolean(true);
    CHECK(CodeOf(SerializePlan(plan)) == ErrorCode::kLimit);
  }
  SUBCASE("count") {
    std::string bytes = SerializePlan(SmallPlan());
    for (int64_t i = 0; i <= kMaxPlanNodes; ++i) bytes += std::string("\x4a\x00", 2);  // an empty rename
    CHECK(CodeOf(bytes) == ErrorCode::kLimit);
  }
  SUBCASE("size") { CHECK(CodeOf(std::string(kMaxPlanBytes + 1, '\0')) == ErrorCode::kLimit); }
}

TEST_CASE("a pack's plan is found by name") {
  const TempFolder folder;
  Put(folder, "resnet/torchvision2mindcv.ckplan", "x");
  Put(folder, "llama/a.ckplan", "x");
  Put(folder, "llama/b.ckplan", "x");
  Put(folder, "std/std.ckplan", "x");
  Put(folder, "std/extra.ckplan", "x");
  Put(folder, "empty/readme.txt", "x");
  ::setenv("CKMAP_PACKS", ("/nonexistent:" + folder.path()).c_str(), 1);

  const auto only = FindPackPlan("resnet");
  REQUIRE(only.ok());
  CHECK(*only == folder / "resnet/torchvision2mindcv.ckplan");
  const auto named = FindPackPlan("llama/b");
  REQUIRE(named.ok());
  CHECK(*named == folder / "llama/b.ckplan");
  const auto library = FindPackPlan("std");
  REQUIRE(library.ok());
  CHECK(*library == folder / "std/std.ckplan");

  for (const char* name : {"llama", "llama/c", "bert", "empty", "../resnet", "resnet/../llama/a", "", "/", "resnet/"}) {
    CAPTURE(name);
    const auto missing = FindPackPlan(name);
    REQUIRE_FALSE(missing.ok());
    CHECK(missing.error().code() == ErrorCode::kUsage);
  }
  CHECK(FindPackPlan("llama").error().message().find("llama/a, llama/b") != std::string::npos);
  CHECK(FindPackPlan("bert").error().message().find("llama, resnet, std") != std::string::npos);
  ::unsetenv("CKMAP_PACKS");
}

}  // namespace
}  // namespace ckmap
