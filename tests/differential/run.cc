#include "tests/differential/run.h"

#include <cmath>
#include <filesystem>
#include <map>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/compiler.h"
#include "runtime/bind/bind.h"
#include "runtime/exec/executor.h"
#include "runtime/exec/tensor_reader.h"
#include "runtime/formats/create.h"
#include "runtime/formats/open.h"
#include "runtime/migrate/open_source.h"
#include "runtime/migrate/output_contents.h"
#include "tests/differential/files.h"

namespace ckmap::testing {
namespace {

namespace fs = std::filesystem;

// ---- comparing ---------------------------------------------------------------------------------

bool Near(const std::string& dtype, uint64_t a, uint64_t b) {
  const long double x = ValueOf(dtype, a), y = ValueOf(dtype, b);
  if (std::isnan(x) || std::isnan(y)) return std::isnan(x) && std::isnan(y);
  if (x == y) return true;
  const int digits = dtype == "f64" ? 46 : dtype == "f32" ? 21 : dtype == "f16" ? 8 : dtype == "bf16" ? 5 : 1;
  return std::fabs(x - y) <= std::ldexp(std::max({std::fabs(x), std::fabs(y), 1e-3L}), -digits);
}

std::string Compare(const std::string& name, const Tensor& found, const Tensor& expected) {
  if (found.dtype != expected.dtype || found.shape != expected.shape) {
    return fmt::format("{} is {} [{}], expected {} [{}]", name, found.dtype, fmt::join(found.shape, ", "),
                       expected.dtype, fmt::join(expected.shape, ", "));
  }
  for (size_t i = 0; i < expected.bits.size(); ++i) {
    if (i < found.bits.size() && (found.bits[i] == expected.bits[i] ||
                                  (expected.rounded && Near(expected.dtype, found.bits[i], expected.bits[i]))))
      continue;
    return fmt::format("{}: element {} of {} is {:#x}, expected {:#x} ({} [{}])", name, i, expected.bits.size(),
                       i < found.bits.size() ? found.bits[i] : 0, expected.bits[i], expected.dtype,
                       fmt::join(expected.shape, ", "));
  }
  return "";
}

// ---- files -------------------------------------------------------------------------------------

Tensor ReadTensor(const Checkpoint& checkpoint, size_t index) {
  const TensorInfo& info = checkpoint.manifest()[index];
  Tensor tensor{std::string(DTypeName(info.dtype)), info.shape, {}};
  auto reader = TensorReader::Make(checkpoint, index);
  if (!reader) return tensor;
  std::vector<std::byte> bytes(static_cast<size_t>((*reader)->bytes()));
  if (!bytes.empty() && !(*reader)->Read(0, bytes)) return tensor;
  tensor.bits = ElementBits(tensor.dtype, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  return tensor;
}

// What stands in a file: safetensors by this test's own reader, the others by the library's.
Result<std::map<std::string, Tensor>> ReadAll(const std::string& path) {
  if (path.ends_with(".safetensors")) return ParseSafetensors(ReadFile(path));
  CKMAP_ASSIGN_OR_RETURN(const auto checkpoint, OpenCheckpoint(path));
  std::map<std::string, Tensor> tensors;
  for (size_t i = 0; i < checkpoint->manifest().size(); ++i)
    tensors[checkpoint->manifest()[i].name] = ReadTensor(*checkpoint, i);
  return tensors;
}

struct Extension {
  std::string text;
  OutputFormat format;
};
const std::vector<Extension> kFormats = {{".safetensors", OutputFormat::kSafetensors},
                                         {".npz", OutputFormat::kNpz},
                                         {".pt", OutputFormat::kTorch},
                                         {".ckpt", OutputFormat::kMindSporeCkpt},
                                         {".gguf", OutputFormat::kGguf}};

struct RunResult {
  std::string path;          // of the output; empty: not written
  std::string error;         // why the migration was refused
  bool not_written = false;  // the format cannot hold these tensors
};

// The files of a case's sources.
struct SourcePaths {
  std::string first;  // "": all of them have names
  std::vector<NamedPath> named = {};
};

// Binds and executes.
RunResult Migrate(const Plan& plan, const SourcePaths& paths, const Manifest& target, const std::string& output,
                  const Extension& extension, BindOptions bind, const ExecOptions& exec) {
  const auto source = OpenMigrationSources(paths.first, paths.named, {});
  if (!source) return {"", source.error().message()};
  bind.source.spaces = source->spaces;
  auto bound = Bind(plan, source->manifest(), target, bind);
  if (!bound) return {"", bound.error().message()};
  if (!bound->plan) {
    for (const Issue& issue : bound->issues) {
      if (issue.severity == IssueSeverity::kError) return {"", issue.code + " " + issue.message};
    }
  }
  std::vector<OutputTensor> tensors = TiedOutputTensors(*bound->plan);
  WriteOptions write;
  write.fsync = false;
  write.force = true;
  const std::string path = output + extension.text;
  auto writer = CreateCheckpoint(path, extension.format, std::move(tensors), write);
  if (!writer) return {"", writer.error().message(), true};
  if (auto done = Execute(*bound->plan, *source->checkpoint, **writer, exec); !done)
    return {"", done.error().message()};
  if (auto files = (*writer)->Commit(); !files) return {"", files.error().message()};
  return {path, ""};
}

TensorInfo InfoOf(const std::string& name, const Tensor& tensor) {
  TensorInfo info;
  info.name = name;
  info.dtype = *ParseDType(tensor.dtype);
  info.shape = tensor.shape;
  return info;
}

Manifest ManifestOf(const std::vector<Named>& tensors) {
  Manifest manifest;
  for (const Named& named : tensors) manifest.Add(InfoOf(named.name, named.tensor));
  return manifest;
}

// The tensors of one file, by their names in it. "": of the first one.
std::vector<Named> OfSpace(const std::vector<Named>& sources, const std::string& space) {
  std::vector<Named> tensors;
  for (const Named& named : sources) {
    const size_t colon = named.name.find(':');
    if ((colon == std::string::npos ? "" : named.name.substr(0, colon)) != space) continue;
    tensors.push_back({colon == std::string::npos ? named.name : named.name.substr(colon + 1), named.tensor});
  }
  return tensors;
}

Manifest TargetManifest(const Case& one) {
  Manifest manifest;
  for (const Target& target : one.targets) {
    TensorInfo info = InfoOf(target.name, target.tensor);
    info.tied_to = target.tied_to;
    manifest.Add(std::move(info));
  }
  return manifest;
}

std::string WithArrow(const std::string& rules, const std::string& arrow) {
  std::string text = rules;
  for (size_t at = 0; (at = text.find("ARROW", at)) != std::string::npos;) text.replace(at, 5, arrow);
  return text;
}

// ---- one case ----------------------------------------------------------------------------------

class Runner {
 public:
  Runner(uint64_t seed, std::string folder)
      : case_(DrawCase(seed)), dice_(seed ^ 0x9e3779b97f4a7c15), folder_(std::move(folder)) {}

  Verdict Run() {
    if (case_.targets.empty() && !case_.refused) return std::move(verdict_);
    if (!WriteSources()) return Differs("the source was not written");
    CompileRules();
    if (!plan_) return std::move(verdict_);
    if (case_.refused) return Refused();
    Forth();
    if (verdict_.difference.empty() && !written_.empty() && arrow_ == "<->" && case_.reads_all) Back();
    return std::move(verdict_);
  }

  std::string Describe() {
    WriteSources();
    CompileRules();
    std::string spec = "tensors:\n";
    for (const Target& target : case_.targets) {
      spec += fmt::format("  - {{name: \"{}\", dtype: {}, shape: [{}]{}}}\n", target.name, target.tensor.dtype,
                          fmt::join(target.tensor.shape, ", "),
                          target.tied_to.empty() ? "" : ", tied_to: \"" + target.tied_to + "\"");
    }
    WriteFile(folder_ + "/target.yaml", spec);
    WriteFile(folder_ + "/rules.ckmap", WithArrow(case_.rules, arrow_));
    if (!case_.pack.empty()) WriteFile(folder_ + "/pack.ckmap", case_.pack);
    std::vector<Named> expected;
    for (const Target& target : case_.targets) expected.push_back({target.name, target.tensor});
    std::string text = case_.pack + WithArrow(case_.rules, arrow_) + spec;
    for (const auto* list : {&case_.sources, &expected}) {
      for (const Named& named : *list) {
        text += fmt::format("{} {} [{}]:", named.name, named.tensor.dtype, fmt::join(named.tensor.shape, ", "));
        for (size_t i = 0; i < std::min<size_t>(named.tensor.bits.size(), 24); ++i)
          text += fmt::format(" {:x}", named.tensor.bits[i]);
        text += named.tensor.bits.size() > 24 ? " …\n" : "\n";
      }
    }
    if (case_.refused) text += "right is: an error\n";
    return text + fmt::format(
                      "cd {} && ckmapc rules.ckmap -o rules.ckplan && ckmap apply rules.ckplan {} --target target.yaml "
                      "-o out.npz\n",
                      folder_, Arguments());
  }

 private:
  Verdict Differs(std::string text) {
    verdict_.difference = std::move(text);
    return std::move(verdict_);
  }
  void Fail(std::string text) {
    if (verdict_.difference.empty()) verdict_.difference = std::move(text);
  }

  // Each source in a file of its own.
  bool WriteSources() {
    const std::vector<Named> first = OfSpace(case_.sources, "");
    sources_ = {};
    if (!first.empty()) sources_.first = WriteSource(first, "source");
    bool written = first.empty() || !sources_.first.empty();
    for (const std::string& space : case_.spaces) {
      sources_.named.push_back({space, WriteSource(OfSpace(case_.sources, space), "source_" + space)});
      written = written && !sources_.named.back().path.empty();
    }
    return written;
  }

  // A file of this test's own, in one of four formats: two it writes itself, into the others the library turns one.
  std::string WriteSource(const std::vector<Named>& tensors, const std::string& name) {
    const bool numpy = FitsNumpy(tensors) && dice_.OneIn(2);
    const std::string path = folder_ + "/" + name + (numpy ? ".npz" : ".safetensors");
    WriteFile(path, numpy ? Npz(tensors) : Safetensors(tensors));
    if (!dice_.OneIn(2)) return path;
    const auto identity = CompileText("ckmap 1;\n", "identity.ckmap");
    if (!identity) return "";
    const RunResult turned = Migrate(*identity, {path}, ManifestOf(tensors), folder_ + "/" + name + "_turned",
                                     dice_.OneOf(kFormats), {}, {});
    return turned.path.empty() ? path : turned.path;
  }

  // As the command line names them.
  std::string Arguments() const {
    const auto name = [](const std::string& path) { return fs::path(path).filename().string(); };
    std::string text = name(sources_.first);
    for (const NamedPath& named : sources_.named)
      text += fmt::format("{}--source {}={}", text.empty() ? "" : " ", named.name, name(named.path));
    return text;
  }

  std::optional<Plan> CompileText(const std::string& text, const std::string& name, bool reverse = false) {
    CompileOptions options;
    const std::string path = folder_ + "/" + name;
    options.memory_files[path] = text;
    if (!case_.pack.empty()) options.memory_files[folder_ + "/pack.ckmap"] = case_.pack;
    options.reverse = reverse;
    CompileResult result = Compile(path, options);
    if (!result.plan)
      complaint_ = result.diagnostics.empty()
                       ? "no diagnostic"
                       : FormatCode(result.diagnostics[0].kind) + " " + result.diagnostics[0].message;
    return std::move(result.plan);
  }

  void CompileRules() {
    for (const char* arrow : {"<->", "->"}) {
      arrow_ = arrow;
      plan_ = CompileText(WithArrow(case_.rules, arrow_), "rules.ckmap");
      if (plan_) return;
    }
    if (case_.refused)
      verdict_.refused = true;
    else
      Fail("the rules do not compile: " + complaint_);
  }

  ExecOptions Threads(int threads) const {
    ExecOptions options;
    options.threads = threads;
    if (threads > 1) options.max_memory = int64_t{256} << 20;
    return options;
  }

  Verdict Refused() {
    verdict_.refused = true;
    const RunResult result = Migrate(*plan_, sources_, TargetManifest(case_), folder_ + "/refused",
                                     kFormats[dice_.OneIn(2) ? 0 : 1], {}, Threads(1));
    if (!result.path.empty()) return Differs("an error was expected, and there is an output");
    // Names, dtypes and shapes fit: only what the operation does may be the reason.
    for (const char* code : {"CK1201", "CK1202", "CK1203", "CK1205", "CK1207", "CK1210"}) {
      if (result.error.starts_with(code)) return Differs("refused for another reason: " + result.error);
    }
    return std::move(verdict_);
  }

  void Forth() {
    const Manifest target = TargetManifest(case_);
    for (int tries = 0; tries < 4 && written_.empty(); ++tries) {
      const Extension& extension = tries == 0 ? dice_.OneOf(kFormats) : kFormats[static_cast<size_t>(tries - 1)];
      const RunResult result = Migrate(*plan_, sources_, target, folder_ + "/out", extension, {}, Threads(1));
      if (result.not_written) continue;
      if (result.path.empty()) return Fail("refused: " + result.error);
      written_ = result.path;
      extension_ = extension;
    }
    if (written_.empty()) {
      verdict_.not_written = true;
      return;
    }
    const auto found = ReadAll(written_);
    if (!found) return Fail("the output cannot be read: " + found.error().message());
    for (const Target& one : case_.targets) {
      const auto at = found->find(one.name);
      Fail(at == found->end() ? one.name + " is not in the output" : Compare(one.name, at->second, one.tensor));
    }
    if (dice_.OneIn(3)) Again(target);
    if (case_.ranks > 0) Ranks(target);
  }

  // More threads, the same bytes.
  void Again(const Manifest& target) {
    const RunResult result = Migrate(*plan_, sources_, target, folder_ + "/again", extension_, {}, Threads(3));
    if (result.path.empty()) return Fail("refused with 3 threads: " + result.error);
    if (ReadFile(result.path) != ReadFile(written_)) Fail("3 threads write other bytes than 1");
  }

  void Ranks(const Manifest& target) {
    const Target& cut = case_.targets[0];
    std::vector<uint64_t> all;
    for (int64_t rank = 0; rank < case_.ranks; ++rank) {
      BindOptions bind;
      bind.placement.ranks["tp"] = {rank, case_.ranks};
      const RunResult result = Migrate(*plan_, sources_, target, folder_ + "/rank", extension_, bind, Threads(1));
      if (result.not_written) return;
      if (result.path.empty()) return Fail(fmt::format("rank {} is refused: {}", rank, result.error));
      const auto found = ReadAll(result.path);
      if (!found || !found->contains(cut.name)) return Fail("a rank's output cannot be read");
      const Tensor& part = found->at(cut.name);
      all.insert(all.end(), part.bits.begin(), part.bits.end());
    }
    Tensor whole = cut.tensor;
    whole.bits = std::move(all);
    Fail(Compare("the ranks' " + cut.name, whole, cut.tensor));
  }

  void Back() {
    const std::string rules = WithArrow(case_.rules, arrow_);
    const auto reversed = CompileText(rules, "rules.ckmap", true);
    if (!reversed) return Fail("the rules compile, and their way back does not: " + complaint_);
    verdict_.back_by_plan = Returns(*reversed, "the reversed plan");
    CompileOptions options;
    const std::string path = folder_ + "/rules.ckmap";
    options.memory_files[path] = rules;
    const ReversedText text = ReverseToText(path, options);
    if (!text.text) return;  // it says what cannot be written backwards
    const auto plan = CompileText(*text.text, "back.ckmap");
    if (!plan) return Fail(fmt::format("the reversed text does not compile: {}\n{}", complaint_, *text.text));
    verdict_.back_by_text = Returns(*plan, "the reversed text\n" + *text.text);
  }

  // Whether the way back gives the source. It may be refused, but it must not give anything else.
  bool Returns(const Plan& plan, const std::string& what) {
    const RunResult result =
        Migrate(plan, {written_}, ManifestOf(case_.sources), folder_ + "/back", kFormats[0], {}, Threads(1));
    if (result.path.empty()) return false;
    const auto found = ReadAll(result.path);
    if (!found) return false;
    for (const Named& named : case_.sources) {
      const auto at = found->find(named.name);
      const std::string difference =
          at == found->end() ? named.name + " is not in the output" : Compare(named.name, at->second, named.tensor);
      if (!difference.empty()) Fail(fmt::format("{}: {}", what, difference));
    }
    return true;
  }

  Case case_;
  Dice dice_;
  std::string folder_;
  Verdict verdict_;
  SourcePaths sources_;
  std::string arrow_ = "->", complaint_, written_;
  std::optional<Plan> plan_;
  Extension extension_ = kFormats[0];
};

}  // namespace

Verdict RunCase(uint64_t seed, const std::string& folder) { return Runner(seed, folder).Run(); }

std::string WriteCase(uint64_t seed, const std::string& folder) { return Runner(seed, folder).Describe(); }

}  // namespace ckmap::testing
