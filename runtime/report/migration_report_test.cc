#include "runtime/report/migration_report.h"

#include <doctest/doctest.h>

namespace ckmap {
namespace {

// Two layers are converted, one tensor is made, one dropped, one kept.
MigrationReport Sample() {
  BoundPlan bound;
  const auto source = [&](const std::string& name) {
    TensorInfo tensor;
    tensor.name = name;
    tensor.dtype = DType::kF32;
    tensor.shape = {4, 2};
    REQUIRE(bound.source.Add(tensor));
  };
  source("old.1.w");
  source("old.2.w");
  source("steps");
  for (size_t i = 0; i < 2; ++i) {
    BoundTensor tensor;
    tensor.name = "new." + std::to_string(i) + ".w";
    tensor.dtype = DType::kF16;
    tensor.shape = {2, 4};
    tensor.rule = "a.ckmap:3";
    tensor.ops = {"permute(1, 0)"};
    tensor.inputs = {{.source = i, .casts = {{.from = DType::kF32, .to = DType::kF16, .overflow = Overflow::kInf}}}};
    bound.tensors.push_back(tensor);
  }
  BoundTensor made;
  made.name = "pos<script>";
  made.rule = "a.ckmap:9";
  made.initialized = true;
  bound.tensors.push_back(made);
  bound.dropped.push_back({.source = 2, .name = "steps", .rule = "a.ckmap:5"});
  bound.kept.push_back({.name = "mask", .rule = "optional in the target"});
  bound.params = {{"heads", "8"}};
  MigrationReport report;
  report.migration = "a";
  report.plan_digest = "00ff";
  report.packs = {{"std", "1.0.0"}};
  report.source_path = "in.pth";
  report.source_format = "torch-zip";
  report.target_path = "net.yaml";
  report.bound = std::make_shared<const BoundPlan>(std::move(bound));
  report.cost = {.bytes_read = 64, .bytes_written = 32, .peak_memory = 1 << 20};
  return report;
}

TEST_CASE("the JSON report of a dry run") {
  CHECK(ReportJson(Sample()) == R"json({
 "ok": true,
 "applied": false,
 "plan": {"digest": "00ff", "migration": "a", "packs": [{"name": "std", "version": "1.0.0"}], "params": {"heads": "8"}},
 "source": {"path": "in.pth", "format": "torch-zip"},
 "target": {"path": "net.yaml"},
 "files": [],
 "bytes_read": 64,
 "bytes_written": 32,
 "peak_memory": 1048576,
 "targets": [
  {"name": "new.0.w", "dtype": "f16", "shape": [2, 4], "rule": "a.ckmap:3", "sources": ["old.1.w"], "ops": ["permute(1, 0)"], "cast": {"to": "f16"}},
  {"name": "new.1.w", "dtype": "f16", "shape": [2, 4], "rule": "a.ckmap:3", "sources": ["old.2.w"], "ops": ["permute(1, 0)"], "cast": {"to": "f16"}},
  {"name": "pos<script>", "dtype": "f32", "shape": [], "rule": "a.ckmap:9", "sources": [], "ops": []}
 ],
 "dropped": [
  {"name": "steps", "rule": "a.ckmap:5"}
 ],
 "initialized": [
  {"name": "pos<script>", "rule": "a.ckmap:9"}
 ],
 "kept": [
  {"name": "mask", "rule": "optional in the target"}
 ],
 "warnings": [],
 "issues": [],
 "causes": []
}
)json");
}

TEST_CASE("after the run casts have counts and tensors have digests") {
  MigrationReport report = Sample();
  report.applied = true;
  report.outcome = ExecResult{.tensors = {{.sha256 = "abc", .overflowed = 1, .changed = 5}, {}, {}}};
  report.files = {{.path = "out.ckpt", .bytes = 40}};
  const std::string json = ReportJson(report);
  CHECK(json.find(R"("cast": {"to": "f16", "overflowed": 1, "changed": 5}, "sha256": "abc"})") != std::string::npos);
  CHECK(json.find(R"("files": [{"path": "out.ckpt", "bytes": 40}])") != std::string::npos);
}

TEST_CASE("a migration that does not fit is not ok and lists why") {
  MigrationReport report = Sample();
  report.bound.reset();
  report.issues = {{"CK1203", IssueSeverity::kError, "fc", "no rule", {"n"}, "h"}};
  CHECK_FALSE(report.ok());
  const std::string json = ReportJson(report);
  CHECK(json.find("\"ok\": false") != std::string::npos);
  CHECK(
      json.find(
          R"({"code": "CK1203", "severity": "error", "tensor": "fc", "message": "no rule", "notes": ["n"], "help": "h"})") !=
      std::string::npos);
  CHECK(ReportText(report, {}).empty());
}

TEST_CASE("the table of a dry run folds layers") {
  CHECK(ReportText(Sample(), {}) ==
        "     target       dtype  shape   from         by                         rule\n"
        "2 ×  new.{0,1}.w  f16    [2, 4]  old.{1,2}.w  permute(1, 0) | cast(f16)  a.ckmap:3\n"
        "     pos<script>  f32    []      (init)                                  a.ckmap:9\n"
        "\n"
        "dropped  rule\n"
        "steps    a.ckmap:5\n"
        "\n"
        "kept by the network  rule\n"
        "mask                 optional in the target\n"
        "\nparams: heads=8\n"
        "\n2 tensors from 3 source tensors, 1 initialized, 1 dropped, 1 kept; reads 64 B, writes "
        "32 B, 1.0 MiB of memory\n");
}

TEST_CASE("the HTML page escapes what came from files and loads nothing") {
  const std::string html = ReportHtml(Sample());
  CHECK(html.find("pos&lt;script&gt;") != std::string::npos);
  CHECK(html.find("pos<script>") == std::string::npos);
  CHECK(html.find("http://") == std::string::npos);
  CHECK(html.find("https://") == std::string::npos);
}

}  // namespace
}  // namespace ckmap
