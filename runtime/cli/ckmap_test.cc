// The program itself: what it prints where, its exit codes, and what it leaves on the disk.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "plan.pb.h"
#include "runtime/base/file.h"
#include "runtime/base/sha256.h"
#include "runtime/formats/create.h"
#include "runtime/plan/plan_io.h"
#include "tests/support/temp_folder.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

void Put(const std::string& path, const std::string& text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  REQUIRE(fd >= 0);
  REQUIRE(WriteAt(fd, 0, std::as_bytes(std::span(text))).ok());
  ::close(fd);
}

std::string Get(const std::string& path) {
  auto text = ReadTextFile(path);
  REQUIRE(text.ok());
  return *text;
}

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// A folder with a source, a target spec and a plan that moves one to the other.
class Fixture {
 public:
  Fixture() {
    const std::vector<float> weights = {0, 1, 2, 3, 4, 5};
    WriteSource("source.safetensors", {{"fc.weight", DType::kF32, {2, 3}}, {"fc.bias", DType::kF32, {2}}}, weights);
    Put(folder / "target.yaml",
        "tensors:\n"
        "  - {name: dense.weight, dtype: f32, shape: [2, 3]}\n"
        "  - {name: dense.bias, dtype: f32, shape: [2]}\n");
    Put(folder / "plan.ckplan", SerializePlan(RenamePlan("fc", "dense")));
  }

  void WriteSource(const std::string& name, const std::vector<OutputTensor>& tensors,
                   const std::vector<float>& values) {
    auto writer =
        CreateCheckpoint(folder / name, OutputFormat::kSafetensors, tensors, {.metadata = {}, .fsync = false});
    REQUIRE(writer.ok());
    for (size_t i = 0; i < tensors.size(); ++i) {
      const auto bytes = static_cast<size_t>(*NumBytes(tensors[i].shape, tensors[i].dtype));
      REQUIRE((*writer)->Write(i, 0, std::as_bytes(std::span(values)).first(bytes)).ok());
    }
    REQUIRE((*writer)->Commit().ok());
  }

  static plan::Plan RenamePlan(const std::string& from, const std::string& to) {
    plan::Plan plan;
    plan.set_format(kPlanFormat);
    plan.set_edition(1);
    plan.set_migration("test");
    plan.set_to_framework("mindspore");
    auto* file = plan.add_files();
    file->set_name("test.ckmap");
    file->set_sha256(std::string(64, '0'));
    auto* rename = plan.add_renames();
    rename->mutable_loc()->set_line(3);
    rename->mutable_from()->add_parts()->set_literal(from);
    rename->mutable_to()->add_parts()->set_literal(to);
    return plan;
  }

  // `{}` in the arguments stands for the folder.
  Outcome Run(std::string arguments, const std::string& before = "") const {
    for (size_t at; (at = arguments.find("{}")) != std::string::npos;) arguments.replace(at, 2, folder.path());
    const TempFolder streams;
    const std::string command = before + " " CKMAP_PROGRAM " " + arguments + " >" + (streams / "out") + " 2>" +
                                (streams / "err") + " </dev/null";
    const int status = std::system(command.c_str());
    REQUIRE(WIFEXITED(status));
    return {WEXITSTATUS(status), Get(streams / "out"), Get(streams / "err")};
  }

  TempFolder folder;
};

const std::string kApply = "apply {}/plan.ckplan {}/source.safetensors --target {}/target.yaml ";
const std::string kPlan = "plan {}/plan.ckplan {}/source.safetensors --target {}/target.yaml ";

TEST_CASE("usage") {
  const Fixture fixture;
  const Outcome help = fixture.Run("--help");
  CHECK(help.exit_code == 0);
  CHECK(Has(help.out, "exit codes: 0 done"));
  CHECK(help.err.empty());
  CHECK(Has(fixture.Run("apply --help").out, "--max-shard-size"));
  CHECK(Has(fixture.Run("--version").out, "ckmap 0."));
  for (const char* arguments :
       {"", "explode", "inspect", "inspect --digest", "plan {}/plan.ckplan", "inspect --format xml {}",
        "apply {}/plan.ckplan {}/source.safetensors --target {}/target.yaml"}) {
    CAPTURE(arguments);
    const Outcome outcome = fixture.Run(arguments);
    CHECK(outcome.exit_code == 2);
    CHECK(outcome.out.empty());
    CHECK(Has(outcome.err, "error: "));
    CHECK(Has(outcome.err, "--help`"));
  }
  CHECK(fixture.Run(kPlan + "-D heads").exit_code == 2);
  CHECK(fixture.Run(kPlan + "-D a=1 -D a=2").exit_code == 2);
  CHECK(fixture.Run(kPlan + "--max-memory many").exit_code == 2);
  CHECK(fixture.Run(kPlan + "--report {}/report.txt").exit_code == 2);
  CHECK(fixture.Run(kApply + "-o {}/out.bin2").exit_code == 2);
  CHECK(fixture.Run(kApply + "-o {}/out --to onnx").exit_code == 2);
}

TEST_CASE("inspect lists names, dtypes and shapes") {
  Fixture fixture;
  const Outcome text = fixture.Run("inspect {}/source.safetensors");
  CHECK(text.exit_code == 0);
  CHECK(Has(text.out, "safetensors, 2 tensors, 8 elements, 32 B"));
  CHECK(Has(text.out, "fc.weight  f32    [2, 3]"));
  const Outcome json = fixture.Run("inspect {}/source.safetensors --format json --digest");
  CHECK(Has(json.out, R"("name": "fc.bias", "dtype": "f32", "shape": [2], "bytes": 8)"));
  const std::string bias("\0\0\0\0\0\0\x80\x3f", 8);  // 0 and 1
  CHECK(Has(json.out, "\"sha256\": \"" + Sha256Hex(bias) + "\""));
  CHECK(Has(fixture.Run("inspect {}/target.yaml").out, "a spec, 2 tensors"));

  Put(fixture.folder / "broken.safetensors", "no such thing");
  CHECK(fixture.Run("inspect {}/broken.safetensors").exit_code == 3);
  CHECK(fixture.Run("inspect {}/absent.safetensors").exit_code == 4);
}

TEST_CASE("names cannot steer the terminal") {
  Fixture fixture;
  fixture.WriteSource("odd.safetensors",
                      {{"\xe2\x80\xae"
                        "evil",
                        DType::kF32,
                        {1}}},
                      {1});
  const Outcome text = fixture.Run("inspect {}/odd.safetensors");
  CHECK(Has(text.out, "\\u{202e}evil"));
  CHECK_FALSE(Has(text.out, "\xe2\x80\xae"));
  CHECK(Has(fixture.Run("inspect {}/odd.safetensors --format json").out, "\\u202eevil"));
}

TEST_CASE("plan proves and prints, and writes nothing") {
  Fixture fixture;
  const size_t before = fixture.folder.entries();
  const Outcome text = fixture.Run(kPlan);
  CHECK(text.exit_code == 0);
  CHECK(Has(text.out, "dense.weight  f32    [2, 3]  fc.weight"));
  CHECK(Has(text.out, "2 tensors from 2 source tensors; reads 32 B, writes 32 B"));
  const Outcome json = fixture.Run(kPlan + "--format json");
  CHECK(Has(json.out, "\"ok\": true"));
  CHECK_FALSE(Has(json.out, "sha256"));
  CHECK(fixture.Run(kPlan + "--quiet").out.empty());
  CHECK(fixture.folder.entries() == before);
}

TEST_CASE("what does not fit is told in full, and nothing is written") {
  Fixture fixture;
  Put(fixture.folder / "plan.ckplan", SerializePlan(Fixture::RenamePlan("fc", "classifier")));
  const size_t before = fixture.folder.entries();
  for (const std::string& command : {kPlan, kApply + "-o {}/out.ckpt "}) {
    const Outcome text = fixture.Run(command);
    CHECK(text.exit_code == 1);
    CHECK(text.out.empty());
    CHECK(Has(text.err, "error[CK1201]"));
    CHECK(Has(text.err, "error[CK1202]"));
    CHECK(Has(text.err, "dense.weight"));
    CHECK(Has(text.err, "does not fit: 4 errors"));
    const Outcome json = fixture.Run(command + "--format json");
    CHECK(json.exit_code == 1);
    CHECK(Has(json.out, "\"ok\": false"));
    CHECK(Has(json.out, "\"code\": \"CK1201\""));
  }
  CHECK(fixture.folder.entries() == before);
}

TEST_CASE("plans: rules are no plan, damaged and absent ones are told") {
  const Fixture fixture;
  Put(fixture.folder / "rules.ckmap", "ckmap 1;\n");
  const auto plan = [&](const std::string& name) {
    return fixture.Run("plan " + name + " {}/source.safetensors --target {}/target.yaml", "CKMAP_PACKS=/nonexistent");
  };
  CHECK(plan("{}/rules.ckmap").exit_code == 2);
  CHECK(Has(plan("{}/rules.ckmap").err, "ckmapc"));
  CHECK(plan("{}/target.yaml").exit_code == 3);
  CHECK(plan("{}/absent.ckplan").exit_code == 4);
  CHECK(plan("resnet").exit_code == 2);
}

TEST_CASE("apply writes what verify and diff confirm") {
  Fixture fixture;
  const Outcome done = fixture.Run(kApply + "-o {}/out.safetensors --report {}/report.json");
  CHECK_MESSAGE(done.exit_code == 0, done.err);
  CHECK(done.out.empty());
  CHECK(Has(done.err, "wrote "));
  CHECK(Has(Get(fixture.folder / "report.json"), "\"applied\": true"));
  CHECK(Has(fixture.Run("inspect {}/out.safetensors --format json").out, "\"format\": \"ms\""));

  CHECK(fixture.Run("verify {}/out.safetensors --report {}/report.json").exit_code == 0);
  CHECK(fixture.Run("load-check {}/out.safetensors --target {}/target.yaml").exit_code == 0);
  const Outcome unlike = fixture.Run("load-check {}/source.safetensors --target {}/target.yaml");
  CHECK(unlike.exit_code == 1);
  CHECK(Has(unlike.err, "error[CK1501]"));
  CHECK(fixture.Run("diff {}/out.safetensors {}/out.safetensors").exit_code == 0);
  CHECK(fixture.Run("diff {}/out.safetensors {}/source.safetensors").exit_code == 1);

  // One byte of the output changes.
  std::string bytes = Get(fixture.folder / "out.safetensors");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  Put(fixture.folder / "out.safetensors", bytes);
  const Outcome changed = fixture.Run("verify {}/out.safetensors --report {}/report.json");
  CHECK(changed.exit_code == 1);
  CHECK(Has(changed.err, "are not those that were written"));
  CHECK(fixture.Run(kApply + "-o {}/again.ckpt --report {}/page.html").exit_code == 0);
  CHECK(Has(Get(fixture.folder / "page.html"), "dense.weight"));
}

TEST_CASE("apply never overwrites unasked, and never its inputs") {
  Fixture fixture;
  REQUIRE(fixture.Run(kApply + "-o {}/out.ckpt").exit_code == 0);
  const std::string first = Get(fixture.folder / "out.ckpt");
  const Outcome again = fixture.Run(kApply + "-o {}/out.ckpt");
  CHECK(again.exit_code != 0);
  CHECK(Has(again.err, "--force"));
  CHECK(fixture.Run(kApply + "-o {}/out.ckpt --force").exit_code == 0);
  CHECK(Get(fixture.folder / "out.ckpt") == first);

  const std::string source = Get(fixture.folder / "source.safetensors");
  fs::create_symlink(fixture.folder / "source.safetensors", fixture.folder / "link.safetensors");
  for (const char* out : {"source.safetensors", "link.safetensors", "target.yaml --to ckpt", "plan.ckplan --to ckpt"}) {
    CAPTURE(out);
    CHECK(fixture.Run(kApply + "--force -o {}/" + out).exit_code == 2);
  }
  CHECK(fixture.Run(kPlan + "--force --report {}/source.safetensors").exit_code == 2);
  CHECK(Get(fixture.folder / "source.safetensors") == source);
  CHECK(fixture.Run(kApply + "-o {}/absent/out.ckpt").exit_code == 4);
}

TEST_CASE("colour is for terminals, unless asked for") {
  const Fixture fixture;
  const std::string command = "inspect {}/absent";
  CHECK_FALSE(Has(fixture.Run(command).err, "\x1b["));
  CHECK(Has(fixture.Run(command + " --color always").err, "\x1b["));
  CHECK_FALSE(Has(fixture.Run(command + " --color never").err, "\x1b["));
  CHECK_FALSE(Has(fixture.Run(command, "NO_COLOR=1").err, "\x1b["));
}

TEST_CASE("a closed pipe ends the program as SIGPIPE would; a full disk is an I/O error") {
  const Fixture fixture;
  const std::string inspect = CKMAP_PROGRAM " inspect " + (fixture.folder / "source.safetensors");
  const std::string command = "{ sleep 0.2; " + inspect + "; echo $? >" + (fixture.folder / "code") + "; } | true";
  CHECK(std::system(command.c_str()) == 0);
  CHECK(Get(fixture.folder / "code") == "141\n");
  const int status = std::system((inspect + " >/dev/full 2>/dev/null").c_str());
  CHECK(WEXITSTATUS(status) == 4);
}

// Files without a name have one in /proc all the same.
bool HasOpenFileIn(pid_t process, const std::string& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc/" + std::to_string(process) + "/fd", error)) {
    if (fs::read_symlink(entry.path(), error).string().starts_with(folder + "/")) return true;
  }
  return false;
}

TEST_CASE("a signal ends the run with 128 + n and leaves nothing") {
  Fixture fixture;
  // A sparse source of 1 GiB: its conversion takes long enough to be met.
  constexpr int64_t kElements = int64_t{1} << 28;
  std::string header = R"({"fc.weight":{"dtype":"F32","shape":[268435456],"data_offsets":[0,1073741824]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::string start(8, '\0');
  const uint64_t size = header.size();
  std::memcpy(start.data(), &size, sizeof size);
  Put(fixture.folder / "big.safetensors", start + header);
  fs::resize_file(fixture.folder / "big.safetensors",
                  start.size() + header.size() + static_cast<uint64_t>(kElements) * 4);
  Put(fixture.folder / "big.yaml", "tensors:\n  - {name: dense.weight, dtype: f16, shape: [268435456]}\n");
  plan::Plan plan = Fixture::RenamePlan("fc", "dense");
  auto* policy = plan.add_policies();
  policy->set_kind(plan::TargetPolicy::CAST);
  policy->set_cast_to("f16");
  policy->set_overflow("error");
  Put(fixture.folder / "big.ckplan", SerializePlan(plan));
  const std::string out = fixture.folder / "out";
  fs::create_directory(out);

  for (const int number : {SIGINT, SIGTERM}) {
    CAPTURE(number);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      const int null = ::open("/dev/null", O_WRONLY);
      ::dup2(null, 2);
      ::execl(CKMAP_PROGRAM, "ckmap", "apply", (fixture.folder / "big.ckplan").c_str(),
              (fixture.folder / "big.safetensors").c_str(), "--target", (fixture.folder / "big.yaml").c_str(), "-o",
              (out + "/big.ckpt").c_str(), "--no-fsync", "-j1", nullptr);
      ::_exit(127);
    }
    int status = 0;
    // Once it has its file open, there is something to clean up.
    while (!HasOpenFileIn(child, out) && ::waitpid(child, &status, WNOHANG) == 0) std::this_thread::yield();
    ::kill(child, number);
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 128 + number);
    CHECK(fs::is_empty(out));
  }
}

}  // namespace
}  // namespace ckmap
