// `ckmap verify`: an output against the report of the run that wrote it.
#include <exception>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <simdjson.h>

#include "runtime/base/file.h"
#include "runtime/base/json_writer.h"
#include "runtime/base/text.h"
#include "runtime/cli/commands.h"
#include "runtime/exec/executor.h"
#include "runtime/formats/open.h"
#include "runtime/report/issues.h"

namespace ckmap {
namespace {

struct Promise {
  std::string name;
  std::string dtype;
  Shape shape;
  std::string sha256;
};

Result<Promise> ReadPromise(simdjson::dom::element target) {
  Promise promise;
  std::string_view name, dtype, sha256;
  simdjson::dom::array shape;
  if (target["name"].get(name) || target["dtype"].get(dtype) || target["shape"].get(shape)) {
    return Error(ErrorCode::kMalformed, "a target without name, dtype or shape");
  }
  if (target["sha256"].get(sha256)) {
    return Error(
        ErrorCode::kMalformed,
        fmt::format("`{}` has no digest: this is the report of a dry run, not of `apply`", name));
  }
  for (const simdjson::dom::element size : shape) {
    int64_t value = 0;
    if (size.get(value))
      return Error(ErrorCode::kMalformed,
                   fmt::format("`{}` has a shape that is no list of integers", name));
    promise.shape.push_back(value);
  }
  promise.name = name;
  promise.dtype = dtype;
  promise.sha256 = sha256;
  return promise;
}

Result<std::vector<Promise>> ReadReport(const std::string& path) {
  CKMAP_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (const auto error = parser.parse(text).get(root); error) {
    return Error(ErrorCode::kMalformed,
                 fmt::format("{}: not JSON: {}", path, simdjson::error_message(error)));
  }
  simdjson::dom::array targets;
  if (root["targets"].get(targets))
    return Error(ErrorCode::kMalformed, path + ": no report of ckmap: it has no `targets`");
  std::vector<Promise> promises;
  for (const simdjson::dom::element target : targets) {
    auto promise = ReadPromise(target);
    if (!promise) return std::move(promise).error().Context(path);
    promises.push_back(*std::move(promise));
  }
  return promises;
}

Result<std::vector<Issue>> Compare(const Checkpoint& output, const std::vector<Promise>& promises,
                                   const Console& console) {
  const Manifest& manifest = output.manifest();
  std::vector<Issue> issues;
  const auto add = [&](const std::string& tensor, std::string message) {
    issues.push_back({.code = "CK1601",
                      .severity = IssueSeverity::kError,
                      .tensor = tensor,
                      .message = std::move(message),
                      .notes = {},
                      .help = ""});
  };
  ProgressBar bar(console, "verifying");
  std::vector<bool> promised(manifest.size(), false);
  int64_t done = 0;
  for (const Promise& promise : promises) {
    bar.Update(done++, static_cast<int64_t>(promises.size()));
    const auto index = manifest.Find(promise.name);
    if (!index) {
      add(promise.name, fmt::format("`{}` is missing", promise.name));
      continue;
    }
    promised[*index] = true;
    const TensorInfo& tensor = manifest[*index];
    if (DTypeName(tensor.dtype) != promise.dtype || tensor.shape != promise.shape) {
      add(promise.name,
          fmt::format("`{}` is {} {}, the report says {} {}", promise.name, DTypeName(tensor.dtype),
                      FormatShape(tensor.shape), promise.dtype, FormatShape(promise.shape)));
      continue;
    }
    CKMAP_ASSIGN_OR_RETURN(const std::string digest, DigestTensor(output, *index));
    if (digest != promise.sha256)
      add(promise.name,
          fmt::format("the bytes of `{}` are not those that were written", promise.name));
  }
  for (size_t i = 0; i < manifest.size(); ++i) {
    if (!promised[i])
      add(manifest[i].name, fmt::format("`{}` is not in the report", manifest[i].name));
  }
  return issues;
}

}  // namespace

int RunVerify(const VerifyArgs& args, const Console& console) {
  const auto promises = ReadReport(args.report);
  if (!promises) return console.Fail(promises.error());
  const auto output = OpenSource(args.output, args.open);
  if (!output) return console.Fail(output.error());
  const auto issues = Compare(**output, *promises, console);
  if (!issues) return console.Fail(issues.error());
  console.SayAlways(RenderIssues(*issues, {.style = console.err()}));
  const bool ok = issues->empty();
  int written = 0;
  if (args.format == DataFormat::kJson) {
    JsonWriter json;
    json.BeginObject()
        .OnLines()
        .Key("ok")
        .Bool(ok)
        .Key("tensors")
        .Int(static_cast<int64_t>(promises->size()))
        .Key("issues");
    WriteIssues(json, *issues);
    json.EndObject();
    written = console.Write(std::move(json).Finish());
  } else if (!console.quiet()) {
    written =
        console.Write(ok ? fmt::format("{} as written\n",
                                       Plural(static_cast<int64_t>(promises->size()), "tensor"))
                         : fmt::format("{} differ\n", CountIssues(*issues)));
  }
  return ok ? written : static_cast<int>(ErrorCode::kMismatch);
}

}  // namespace ckmap
