#include "runtime/folder/migrate_folder.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/base/file.h"
#include "runtime/base/json_writer.h"
#include "runtime/base/output_file.h"
#include "runtime/base/text.h"
#include "runtime/bind/target/decisions.h"
#include "runtime/detect/config_check.h"
#include "runtime/detect/described_network.h"
#include "runtime/detect/installed_packs.h"
#include "runtime/folder/model_config.h"
#include "runtime/migrate/detect.h"
#include "runtime/migrate/save.h"
#include "runtime/migrate/target.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

constexpr const char* kKeepNames = "transformers/keep";
constexpr int64_t kMaxCarried = int64_t{256} << 20;  // bytes of one file

const TargetLibrary& LibraryOf(const FolderRequest& request) {
  const auto& libraries = TargetLibraries();
  return *std::find_if(libraries.begin(), libraries.end(),
                       [&](const TargetLibrary& library) { return library.name == request.library; });
}

// What torch's config calls a dtype: "bfloat16"; "" for those that it does not name.
std::string TorchDTypeName(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "float32";
    case DType::kF16:
      return "float16";
    case DType::kBF16:
      return "bfloat16";
    case DType::kF64:
      return "float64";
    default:
      return {};
  }
}

class FolderMigration {
 public:
  FolderMigration(const FolderRequest& request, const std::string& out) : request_(request), out_(out) {}

  Result<FolderResult> Run() {
    CKMAP_ASSIGN_OR_RETURN(folder_, SurveyFolder(request_.folder, request_.with_code));
    result_.weights_in = folder_.weights;
    result_.left_behind = folder_.left_behind;
    if (!folder_.config.empty()) {
      CKMAP_ASSIGN_OR_RETURN(config_, ReadModelConfig(folder_.config));
    }
    params_ = {.defines = request_.defines, .config = folder_.config, .ranks = {}, .device_map = {}};
    CKMAP_ASSIGN_OR_RETURN(bind_, ReadParams(params_));
    CKMAP_ASSIGN_OR_RETURN(MigrationSource source, OpenMigrationSource(folder_.weights, {}));
    if (source.spec) return Error(ErrorCode::kUsage, fmt::format("{}: a spec has no weights", folder_.weights));
    CKMAP_ASSIGN_OR_RETURN(bind_.source.contents, SmallContents(*source.checkpoint));
    CKMAP_RETURN_IF_ERROR(CheckConfig(source.manifest()));
    CKMAP_ASSIGN_OR_RETURN(const PackCandidate pack, ChoosePack(source.manifest()));
    result_.pack = pack.name;
    CKMAP_ASSIGN_OR_RETURN(Manifest target, TargetOf(pack, source.manifest()));
    result_.params = bind_.defines;
    CKMAP_ASSIGN_OR_RETURN(
        PreparedMigration migration,
        PrepareMigration(pack.plan, std::move(source), TargetFile{.manifest = std::move(target)}, bind_));
    CKMAP_RETURN_IF_ERROR(Save(migration));
    CKMAP_RETURN_IF_ERROR(WriteConfig(migration));
    CKMAP_RETURN_IF_ERROR(Carry());
    return std::move(result_);
  }

 private:
  Result<void> CheckConfig(const Manifest& source) const {
    if (folder_.config.empty()) return {};
    CKMAP_ASSIGN_OR_RETURN(const std::vector<std::string> contradictions,
                           ConfigContradictions(source, config_.text, folder_.config));
    if (contradictions.empty()) return {};
    return Error(ErrorCode::kMismatch,
                 fmt::format("the config and the tensors are not of one model: {}", fmt::join(contradictions, "; ")));
  }

  Result<PackCandidate> ChoosePack(const Manifest& source) {
    if (!request_.pack.empty()) return GivenPack(source);
    if (LibraryOf(request_).keeps_names) {
      CKMAP_RETURN_IF_ERROR(CheckNamesOfHub(source));
      return FindInstalledPack(kKeepNames);
    }
    return Detect(source);
  }

  // A pack whose source has other names would let all of them pass as they are.
  Result<PackCandidate> GivenPack(const Manifest& source) const {
    CKMAP_ASSIGN_OR_RETURN(PackCandidate pack, FindInstalledPack(request_.pack));
    const bool keeps = pack.name == kKeepNames && LibraryOf(request_).keeps_names;
    if (!keeps && pack.facts.target_library != request_.library) {
      return Error(
          ErrorCode::kUsage,
          fmt::format("--pack {}: its pack.yaml says that it leads to {}, not to {}", pack.name,
                      pack.facts.target_library.empty() ? "no library" : pack.facts.target_library, request_.library));
    }
    const std::string why = WhyNotRecognised(pack.facts, source);
    if (why.empty()) return pack;
    return Error(ErrorCode::kMismatch,
                 fmt::format("--pack {} does not fit {}: {}", pack.name, EscapeText(folder_.weights), why));
  }

  // A library that reads the hub's names is not given others.
  Result<void> CheckNamesOfHub(const Manifest& source) const {
    if (config_.network.empty()) {
      return Error(ErrorCode::kMismatch,
                   fmt::format("{}: no config.json that names a network (`architectures`, `_class_name`), so that "
                               "nothing shows that {} knows these tensors; name the pack: --pack {}",
                               EscapeText(request_.folder), request_.library, kKeepNames));
    }
    static const std::set<std::string, std::less<>> kMindSpore = {
        "gamma", "beta", "moving_mean", "moving_variance", "embedding_table", "embedding_weight"};
    const auto foreign = std::find_if(source.tensors().begin(), source.tensors().end(), [](const TensorInfo& tensor) {
      const size_t dot = tensor.name.rfind('.');
      return kMindSpore.contains(tensor.name.substr(dot == std::string::npos ? 0 : dot + 1));
    });
    // BERT's first files call the tensors of a norm so; they have no other such name.
    const bool old_norms = std::none_of(source.tensors().begin(), source.tensors().end(), [](const TensorInfo& tensor) {
      return tensor.name.ends_with(".embedding_table") || tensor.name.ends_with(".moving_mean") ||
             tensor.name.ends_with(".embedding_weight");
    });
    const bool layer_norm = foreign != source.tensors().end() && foreign->name.find("LayerNorm") != std::string::npos;
    if (foreign == source.tensors().end() || (old_norms && layer_norm)) return {};
    return Error(ErrorCode::kMismatch,
                 fmt::format("{}: {} is a name of MindSpore's, which {} does not read", EscapeText(folder_.weights),
                             QuoteName(foreign->name), request_.library));
  }

  Result<PackCandidate> Detect(const Manifest& source) {
    std::vector<PackCandidate> packs = InstalledPacks(result_.warnings);
    std::optional<Manifest> target;
    if (!request_.target.empty()) {
      CKMAP_ASSIGN_OR_RETURN(target, FindTarget(request_.target, {}, source, bind_));
    }
    const PackSearch search = SearchPacks(packs, source, target, {.bind = bind_, .library = request_.library});
    if (search.fitting.empty()) return NoPack(search);
    std::vector<std::string> choices;
    for (const PackFit& fit : search.fitting) {
      if (!target || fit.differs || &fit == &search.fitting.front()) choices.push_back(fit.name);
    }
    if (choices.size() > 1) {
      return Error(ErrorCode::kMismatch,
                   fmt::format("several packs to {} fit, and make other tensors: {}; choose one: --pack {}",
                               request_.library, fmt::join(choices, ", "), choices.front()));
    }
    const PackFit& fit = search.fitting.front();
    if (!fit.decisions.empty()) {
      return Error(ErrorCode::kMismatch,
                   fmt::format("{}: nothing in the folder tells which of two layouts the target has: {}", fit.name,
                               fmt::join(fit.decisions, "; ")));
    }
    const auto at =
        std::find_if(packs.begin(), packs.end(), [&](const PackCandidate& pack) { return pack.name == fit.name; });
    return std::move(*at);
  }

  Error NoPack(const PackSearch& search) const {
    std::string text = fmt::format("no installed pack to {} fits {}", request_.library, EscapeText(folder_.weights));
    for (const PackMisfit& misfit : search.others) text += fmt::format("\n  {}: {}", misfit.name, misfit.reason);
    return {ErrorCode::kMismatch, text};
  }

  Result<Manifest> TargetOf(const PackCandidate& pack, const Manifest& source) const {
    return FindTarget(request_.target.empty() ? pack.name : request_.target, {}, source, bind_);
  }

  Result<void> Save(PreparedMigration& migration) {
    result_.report = migration.report;
    result_.report.plan_path = result_.pack;
    result_.report.target_path = request_.target.empty() ? result_.pack : request_.target;
    RefuseOpenDecisions(result_.report.issues);
    if (!migration.fits() || !result_.report.ok()) {
      std::string first;
      for (const Issue& issue : result_.report.issues) {
        if (issue.severity == IssueSeverity::kError && first.empty()) first = issue.code + ": " + issue.message;
      }
      return Error(ErrorCode::kMismatch, fmt::format("{} does not fit {}: {}", result_.pack, folder_.weights, first));
    }
    const TargetLibrary& library = LibraryOf(request_);
    const std::string stem = folder_.stem.starts_with("diffusion") ? folder_.stem : "model";
    result_.weights_out = stem + "." + library.extension;
    const std::string path = (fs::path(out_) / result_.weights_out).string();
    CKMAP_ASSIGN_OR_RETURN(const OutputFormat format, FindOutputFormat(path, "", "--to"));
    SaveRequest save{.format = format, .write = {.fsync = request_.fsync}, .digests = true, .run = request_.run};
    save.run.digest = true;
    return SaveMigration(migration, path, std::move(save), result_.report);
  }

  // What the conversion changes: the dtype of most elements, codes that are decoded, a matrix that is the embedding.
  std::map<std::string, std::string> ConfigChanges(const PreparedMigration& migration) {
    const BoundPlan& bound = *migration.report.bound;
    std::map<std::string, std::string> changes;
    const DType before = MainDType(bound.source.tensors()), after = MainDType(bound.target.tensors());
    const std::string name = TorchDTypeName(after);
    if (before != after && !name.empty()) {
      const bool new_key = config_.text.find("\"dtype\"") != std::string::npos;
      changes[new_key ? "dtype" : "torch_dtype"] = JsonString(name);
    }
    const bool quantised = config_.text.find("\"quantization_config\"") != std::string::npos;
    if (quantised && TorchDTypeName(before).empty() && !name.empty()) changes["quantization_config"] = "";
    for (const DroppedTensor& tensor : bound.dropped) {
      if (tensor.name == "lm_head.weight" && !tensor.equals.empty()) changes["tie_word_embeddings"] = "true";
    }
    return changes;
  }

  // Of most elements.
  static DType MainDType(const std::vector<TensorInfo>& tensors) {
    std::map<DType, int64_t> elements;
    for (const TensorInfo& tensor : tensors) elements[tensor.dtype] += NumElements(tensor.shape).value_or(0);
    DType most = DType::kAny;
    int64_t count = -1;
    for (const auto& [dtype, number] : elements) {
      if (number > count) {
        most = dtype;
        count = number;
      }
    }
    return most;
  }

  Result<void> WriteConfig(const PreparedMigration& migration) {
    if (folder_.config.empty()) return {};
    const std::map<std::string, std::string> changes = ConfigChanges(migration);
    for (const auto& [key, value] : changes)
      result_.config_changes.push_back(value.empty() ? fmt::format("{} is taken out", key)
                                                     : fmt::format("{} = {}", key, value));
    CKMAP_ASSIGN_OR_RETURN(const std::string text, EditConfig(config_.text, changes));
    result_.carried.push_back("config.json");
    return Write("config.json", text);
  }

  Result<void> Carry() {
    for (const std::string& name : folder_.carried) {
      CKMAP_ASSIGN_OR_RETURN(const std::string text,
                             ReadTextFile((fs::path(folder_.path) / name).string(), kMaxCarried));
      CKMAP_RETURN_IF_ERROR(Write(name, text));
      result_.carried.push_back(name);
    }
    return {};
  }

  Result<void> Write(const std::string& name, const std::string& text) const {
    return WriteWholeFile((fs::path(out_) / name).string(), text, {.fsync = request_.fsync});
  }

  const FolderRequest& request_;
  const std::string& out_;
  ModelFolder folder_;
  ModelConfig config_;
  ParamFiles params_;
  BindOptions bind_;
  FolderResult result_;
};

// For a shell: as it is, or in single quotes.
std::string Quoted(const std::string& text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || IsDigit(static_cast<char>(c)) ||
           std::string_view("/._-+=:@%,").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string In(const std::string& folder, const std::string& name) { return (fs::path(folder) / name).string(); }

}  // namespace

const std::vector<TargetLibrary>& TargetLibraries() {
  static const std::vector<TargetLibrary> libraries = {
      {"transformers", true, "safetensors"}, {"diffusers", true, "safetensors"},    {"timm", true, "safetensors"},
      {"mindone", true, "safetensors"},      {"mindformers", false, "safetensors"}, {"mindcv", false, "ckpt"}};
  return libraries;
}

Result<FolderResult> MigrateFolder(const FolderRequest& request, const std::string& out) {
  return FolderMigration(request, out).Run();
}

Result<VerifyOutcome> VerifyFolder(const FolderRequest& request, const FolderResult& result, const std::string& out,
                                   const std::string& report_json) {
  VerifyRequest verify;
  verify.output = In(out, result.weights_out);
  verify.report_json = report_json;
  verify.source = result.weights_in;
  verify.plan = result.pack;
  verify.params.defines = request.defines;
  verify.params.config = ConfigBeside(result.weights_in);
  return VerifyOutput(verify);
}

std::vector<std::string> CommandsFor(const FolderRequest& request, const FolderResult& result, const std::string& out) {
  const std::string config = ConfigBeside(result.weights_in);
  std::string params;
  for (const auto& [name, value] : result.params) params += fmt::format(" -D {}", Quoted(name + "=" + value));
  if (!config.empty()) params += fmt::format(" --config {}", Quoted(config));
  const std::string target = request.target.empty() ? result.pack : request.target;
  const std::string weights = Quoted(In(out, result.weights_out));
  std::vector<std::string> commands = {fmt::format("mkdir {}", Quoted(out)),
                                       fmt::format("ckmap apply {} {} --target {}{} --digest -o {}", result.pack,
                                                   Quoted(result.weights_in), Quoted(target), params, weights)};
  std::string files;
  for (const std::string& name : result.carried) files += " " + Quoted(In(request.folder, name));
  if (!files.empty()) commands.push_back(fmt::format("cp{} {}", files, Quoted(out)));
  if (result.weights_out.ends_with(".safetensors")) {
    commands.push_back(fmt::format("ckmap verify {} --plan {} --source {}{}", weights, result.pack,
                                   Quoted(result.weights_in), params));
  }
  return commands;
}

}  // namespace ckmap
