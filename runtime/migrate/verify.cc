#include "runtime/migrate/verify.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <simdjson.h>

#include "runtime/base/file.h"
#include "runtime/base/json_document.h"
#include "runtime/base/text.h"
#include "runtime/exec/tensor_reader.h"

namespace ckmap {
namespace {

struct Promise {
  std::string name;
  std::string dtype;
  Shape shape;
  std::string sha256;  // empty: not told
  std::string copied;  // the source tensor whose elements it has, as they are; empty: it was computed
};

Result<Promise> ReadPromise(simdjson::dom::element target) {
  Promise promise;
  std::string_view name, dtype, sha256, source;
  simdjson::dom::array shape, sources, ops;
  if (target["name"].get(name) || target["dtype"].get(dtype) || target["shape"].get(shape)) {
    return Error(ErrorCode::kMalformed, "a target without name, dtype or shape");
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
  if (!target["sha256"].get(sha256)) promise.sha256 = sha256;
  simdjson::dom::element cast;
  const bool has_ops = !target["ops"].get(ops) && ops.size() > 0;
  if (!has_ops && target["cast"].get(cast) && !target["sources"].get(sources) && sources.size() == 1 &&
      !sources.at(0).get(source)) {
    promise.copied = source;
  }
  return promise;
}

// Of a report or a receipt, which is a part of one.
Result<std::vector<Promise>> ReadPromises(const std::string& text) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (const auto error = parser.parse(text).get(root); error) {
    ThrowIfOutOfMemory(error);
    return Error(ErrorCode::kMalformed, fmt::format("not JSON: {}", simdjson::error_message(error)));
  }
  simdjson::dom::array targets;
  if (root["targets"].get(targets))
    return Error(ErrorCode::kMalformed, "no report of ckmap: it has no `targets`");
  std::vector<Promise> promises;
  for (const simdjson::dom::element target : targets) {
    CKMAP_ASSIGN_OR_RETURN(Promise promise, ReadPromise(target));
    promises.push_back(std::move(promise));
  }
  return promises;
}

Result<std::vector<Promise>> FindPromises(const VerifyRequest& request, const Checkpoint& output) {
  if (request.report.empty() && request.report_json.empty()) {
    const auto receipt = output.metadata().find(std::string(kReceiptKey));
    if (receipt == output.metadata().end()) {
      return Error(ErrorCode::kUsage, fmt::format("{}: carries no receipt (a {} holds none, or ckmap did not write it); "
                                                  "give the report of its run: --report FILE.json",
                                                  request.output, output.format()));
    }
    auto promises = ReadPromises(receipt->second);
    if (!promises) return std::move(promises).error().Context(request.output + ": receipt");
    return promises;
  }
  std::string text = request.report_json;
  if (!request.report.empty()) {
    CKMAP_ASSIGN_OR_RETURN(text, ReadTextFile(request.report));
  }
  const std::string name = request.report.empty() ? "report" : request.report;
  auto promises = ReadPromises(text);
  if (!promises) return std::move(promises).error().Context(name);
  for (const Promise& promise : *promises) {
    if (!promise.sha256.empty()) continue;
    return Error(ErrorCode::kMalformed,
                 fmt::format("{}: `{}` has no digest: this is the report of a dry run, not of `apply`", name,
                             promise.name));
  }
  return promises;
}

class Comparison {
 public:
  Comparison(const Checkpoint& output, const Checkpoint* source, const VerifyRequest& request)
      : output_(output), source_(source), request_(request) {}

  Result<VerifyOutcome> Run(const std::vector<Promise>& promises) {
    const Manifest& manifest = output_.manifest();
    std::vector<bool> promised(manifest.size(), false);
    outcome_.tensors = static_cast<int64_t>(promises.size());
    int64_t done = 0;
    for (const Promise& promise : promises) {
      if (request_.stop != nullptr && request_.stop->load()) return Error(ErrorCode::kIo, "stopped before it was complete");
      if (request_.progress) request_.progress(done, outcome_.tensors);
      ++done;
      const auto index = manifest.Find(promise.name);
      if (!index) {
        Add(promise.name, fmt::format("`{}` is missing", promise.name));
        continue;
      }
      promised[*index] = true;
      CKMAP_RETURN_IF_ERROR(Check(promise, *index));
    }
    for (size_t i = 0; i < manifest.size(); ++i) {
      if (!promised[i]) Add(manifest[i].name, fmt::format("`{}` is not in the report", manifest[i].name));
    }
    return std::move(outcome_);
  }

 private:
  void Add(const std::string& tensor, std::string message) {
    outcome_.issues.push_back({.code = "CK1601",
                               .severity = IssueSeverity::kError,
                               .tensor = tensor,
                               .message = std::move(message),
                               .notes = {},
                               .help = ""});
  }

  Result<void> Check(const Promise& promise, size_t index) {
    const TensorInfo& tensor = output_.manifest()[index];
    if (DTypeName(tensor.dtype) != promise.dtype || tensor.shape != promise.shape) {
      Add(promise.name,
          fmt::format("`{}` is {} {}, the report says {} {}", promise.name, DTypeName(tensor.dtype),
                      FormatShape(tensor.shape), promise.dtype, FormatShape(promise.shape)));
      return {};
    }
    const bool compare = source_ != nullptr && !promise.copied.empty();
    if (promise.sha256.empty() && !compare) return {};
    CKMAP_ASSIGN_OR_RETURN(const std::string digest, DigestTensor(output_, index));
    if (!promise.sha256.empty()) {
      ++outcome_.by_digest;
      if (digest != promise.sha256)
        Add(promise.name, fmt::format("the bytes of `{}` are not those that were written", promise.name));
    }
    return compare ? CheckSource(promise, digest) : Result<void>();
  }

  Result<void> CheckSource(const Promise& promise, const std::string& digest) {
    ++outcome_.by_source;
    const auto from = source_->manifest().Find(promise.copied);
    if (!from || DTypeName(source_->manifest()[*from].dtype) != promise.dtype) {
      Add(promise.name, fmt::format("`{}` was copied from `{}`, which the source does not hold as {}", promise.name,
                                    promise.copied, promise.dtype));
      return {};
    }
    CKMAP_ASSIGN_OR_RETURN(const std::string original, DigestTensor(*source_, *from));
    if (original != digest)
      Add(promise.name, fmt::format("the bytes of `{}` are not those of `{}` in the source", promise.name, promise.copied));
    return {};
  }

  const Checkpoint& output_;
  const Checkpoint* source_;
  const VerifyRequest& request_;
  VerifyOutcome outcome_;
};

}  // namespace

Result<VerifyOutcome> VerifyOutput(const VerifyRequest& request) {
  CKMAP_ASSIGN_OR_RETURN(const auto output, OpenCheckedSource(request.output, request.open));
  CKMAP_ASSIGN_OR_RETURN(const std::vector<Promise> promises, FindPromises(request, *output));
  std::unique_ptr<Checkpoint> source;
  if (!request.source.empty()) {
    CKMAP_ASSIGN_OR_RETURN(source, OpenCheckedSource(request.source, request.open));
  }
  return Comparison(*output, source.get(), request).Run(promises);
}

}  // namespace ckmap
