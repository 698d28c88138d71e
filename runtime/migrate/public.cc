#include "runtime/migrate/public.h"

#include "plan.pb.h"
#include "runtime/formats/open.h"
#include "runtime/tensor/dtype.h"

namespace ckmap::v1 {

static_assert(static_cast<int>(DType::kAny) == static_cast<int>(ckmap::DType::kAny));
static_assert(static_cast<int>(DType::kF8E8M0) == static_cast<int>(ckmap::DType::kF8E8M0));
static_assert(static_cast<int>(DType::kBF16) == static_cast<int>(ckmap::DType::kBF16));
static_assert(static_cast<int>(DType::kC32) == static_cast<int>(ckmap::DType::kC32));

std::string_view DTypeName(DType dtype) { return ckmap::DTypeName(static_cast<ckmap::DType>(dtype)); }

std::optional<DType> ParseDType(std::string_view name) {
  const auto dtype = ckmap::ParseDType(name);
  if (!dtype) return std::nullopt;
  return static_cast<DType>(*dtype);
}

int DTypeBits(DType dtype) { return ckmap::DTypeBits(static_cast<ckmap::DType>(dtype)); }

Error ToPublic(ckmap::Error error) { return {static_cast<ErrorCode>(error.code()), error.message()}; }

Issue ToPublic(const ckmap::Issue& issue) {
  const Severity severity = issue.severity == IssueSeverity::kError     ? Severity::kError
                            : issue.severity == IssueSeverity::kWarning ? Severity::kWarning
                                                                        : Severity::kNote;
  return {.code = issue.code,
          .severity = severity,
          .tensor = issue.tensor,
          .message = issue.message,
          .notes = issue.notes,
          .help = issue.help,
          .file = "",
          .line = 0,
          .column = 0};
}

std::vector<Issue> ToPublic(const std::vector<ckmap::Issue>& issues) {
  std::vector<Issue> out;
  out.reserve(issues.size());
  for (const ckmap::Issue& issue : issues) out.push_back(ToPublic(issue));
  return out;
}

// ---- Manifest ----

Manifest::Manifest() : state_(std::make_shared<const State>()) {}

Manifest Access::Make(ckmap::Manifest manifest) {
  auto state = std::make_shared<Manifest::State>();
  state->tensors.reserve(manifest.size());
  for (const ckmap::TensorInfo& tensor : manifest.tensors()) {
    state->tensors.push_back({.name = tensor.name,
                              .dtype = static_cast<DType>(tensor.dtype),
                              .shape = tensor.shape,
                              .optional = tensor.optional,
                              .tied_to = tensor.tied_to,
                              .storage = tensor.storage,
                              .unreadable = tensor.unreadable});
  }
  state->manifest = std::move(manifest);
  Manifest made;
  made.state_ = std::move(state);
  return made;
}

Result<Manifest> Manifest::Of(std::vector<TensorInfo> tensors, std::string framework) {
  ckmap::Manifest manifest;
  manifest.framework = std::move(framework);
  for (TensorInfo& tensor : tensors) {
    ckmap::TensorInfo info;
    info.dtype = static_cast<ckmap::DType>(tensor.dtype);
    info.shape = std::move(tensor.shape);
    info.optional = tensor.optional;
    info.tied_to = std::move(tensor.tied_to);
    info.storage = tensor.storage;
    info.unreadable = std::move(tensor.unreadable);
    info.name = tensor.name;
    for (const int64_t size : info.shape) {
      if (size < -1)
        return Error(ErrorCode::kUsage, "`" + tensor.name + "`: an axis has the size " + std::to_string(size));
    }
    if (!manifest.Add(std::move(info))) return Error(ErrorCode::kUsage, "`" + tensor.name + "`: the name occurs twice");
  }
  for (const ckmap::TensorInfo& tensor : manifest.tensors()) {
    if (!tensor.tied_to.empty() && !manifest.Find(tensor.tied_to)) {
      return Error(ErrorCode::kUsage, "`" + tensor.name + "` is tied to `" + tensor.tied_to + "`, which is not there");
    }
  }
  return Access::Make(std::move(manifest));
}

Result<Manifest> Manifest::Read(const std::filesystem::path& path) {
  CKMAP_PUBLIC_OR_RETURN(ckmap::Manifest manifest, ckmap::ReadManifest(path.string()));
  return Access::Make(std::move(manifest));
}

std::span<const TensorInfo> Manifest::tensors() const { return state_->tensors; }
std::optional<size_t> Manifest::Find(std::string_view name) const { return state_->manifest.Find(name); }
const std::string& Manifest::framework() const { return state_->manifest.framework; }

Tensor Access::Make(std::shared_ptr<const TensorInfo> info, std::span<const std::byte> bytes,
                    std::shared_ptr<const void> owner, bool view) {
  Tensor tensor;
  tensor.info_ = std::move(info);
  tensor.bytes_ = bytes;
  tensor.owner_ = std::move(owner);
  tensor.view_ = view;
  return tensor;
}

// ---- Plan ----

Plan Access::Make(ckmap::Plan plan) {
  Plan made;
  made.state_ = std::make_shared<const Plan::State>(Plan::State{std::move(plan)});
  return made;
}

Result<Plan> Plan::Load(std::string_view path_or_pack) {
  CKMAP_PUBLIC_OR_RETURN(ckmap::Plan plan, ckmap::LoadPlanOrPack(std::string(path_or_pack)));
  return Access::Make(std::move(plan));
}

Result<Plan> Plan::Parse(std::string_view bytes) {
  CKMAP_PUBLIC_OR_RETURN(ckmap::Plan plan, ckmap::ParsePlan(bytes));
  return Access::Make(std::move(plan));
}

std::string Plan::Serialize() const { return ckmap::SerializePlan(state_->plan.proto()); }
const std::string& Plan::digest() const { return state_->plan.digest(); }
std::string Plan::migration() const { return state_->plan.proto().migration(); }
std::string Plan::from_framework() const { return state_->plan.proto().from_framework(); }
std::string Plan::to_framework() const { return state_->plan.proto().to_framework(); }

// ---- Watch ----

Watch::Watch(std::stop_token token, Progress progress)
    : token_(std::move(token)), progress_(std::move(progress)), callback_(token_, [this] { stop_.store(true); }) {}

std::function<void(int64_t, int64_t)> Watch::progress() {
  if (!progress_) return nullptr;
  return [this](int64_t done, int64_t total) {
    if (thrown() != nullptr) return;
    try {
      progress_(done, total);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      thrown_ = std::current_exception();
      stop_.store(true);
    }
  };
}

Error Watch::Explain(ckmap::Error error) const {
  if (token_.stop_requested()) return {ErrorCode::kStopped, "stopped before it was complete"};
  return ToPublic(std::move(error));
}

std::exception_ptr Watch::thrown() const {
  const std::lock_guard lock(mutex_);
  return thrown_;
}

void Watch::Rethrow() const {
  if (const std::exception_ptr exception = thrown(); exception != nullptr) std::rethrow_exception(exception);
}

}  // namespace ckmap::v1
