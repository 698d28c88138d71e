#include "compiler/program/loader.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "compiler/diag/did_you_mean.h"
#include "compiler/syntax/parser.h"
#include "runtime/base/file.h"
#include "runtime/base/folder.h"
#include "runtime/formats/storage/contained_path.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxFileBytes = int64_t{16} << 20;
constexpr size_t kMaxUnits = 1000;

std::string Normal(const std::string& path) { return fs::path(path).lexically_normal().string(); }
std::string Joined(const std::string& folder, const std::string& file) {
  return Normal((fs::path(folder) / file).string());
}

const std::string* InMemory(const std::string& path, const LoadOptions& options) {
  if (const auto found = options.memory_files.find(path); found != options.memory_files.end()) {
    return &found->second;
  }
  for (const auto& [name, text] : options.memory_files) {
    if (Normal(name) == path) return &text;
  }
  return nullptr;
}

Result<std::string> ReadText(const std::string& path, const LoadOptions& options) {
  if (const std::string* text = InMemory(Normal(path), options)) return *text;
  return ReadTextFile(path, kMaxFileBytes);
}

bool Exists(const std::string& path, const LoadOptions& options) {
  if (InMemory(Normal(path), options) != nullptr) return true;
  std::error_code error;
  return fs::is_regular_file(path, error);
}

// Whether a file that a pack names, relative to the folder of the pack, lies in it: `..` and links do not lead out.
bool IsInPack(const std::string& folder, const std::string& file) {
  if (!ContainedPathProblem(file).empty()) return false;
  const std::string place = folder.empty() ? "." : folder;
  std::error_code error;
  return !fs::exists(place, error) || FileStaysInside(place, file);  // a pack may be in memory alone
}

// Takes files that lie elsewhere out of a pack, with a report: a pack reads nothing but itself.
void KeepInside(const std::string& folder, Pack& pack, DiagnosticSink& sink) {
  const auto leads_out = [&](const std::string& file, Span span) {
    if (IsInPack(folder, file)) return false;
    sink.Report(DiagnosticKind::kPackFile, span,
                fmt::format("`{}` is not in the folder of the pack: it leads out of it", file))
        .Emit();
    pack.valid = false;
    return true;
  };
  if (!pack.library.empty() && leads_out(pack.library, pack.library_span)) pack.library.clear();
  std::erase_if(pack.migrations,
                [&](const PackMigration& migration) { return leads_out(migration.file, migration.span); });
}

class Loader {
 public:
  Loader(const LoadOptions& options, SourceMap& sources, DiagnosticSink& sink)
      : options_(options), sources_(sources), sink_(sink) {}

  Program Load(const std::string& path) {
    Result<std::string> text = ReadText(path, options_);
    if (!text) {
      const FileId file = sources_.Add(path, "");
      sink_.Report(DiagnosticKind::kFileNotRead, Span{file, 0, 0}, text.error().message()).Emit();
      return {};
    }
    Unit unit;
    unit.path = Normal(path);
    unit.name = fs::path(unit.path).filename().string();
    FindOwnPack(unit);
    AddUnit(std::move(unit), path, *std::move(text));
    for (size_t next = 0; next < program_.units.size(); ++next) LoadUses(next);
    if (!ReportCycles()) AssignLevels();
    CheckScopes();
    for (const auto& [yaml, pack] : packs_) CheckPackParams(pack);
    return std::move(program_);
  }

 private:
  // A file whose folder holds a pack.yaml that lists it belongs to that pack.
  void FindOwnPack(Unit& unit) {
    const std::string folder = fs::path(unit.path).parent_path().string();
    const std::string yaml = Joined(folder, "pack.yaml");
    if (!Exists(yaml, options_)) return;
    const Pack pack = PackOf(yaml);
    const auto lists = [&](const PackMigration& m) { return Joined(folder, m.file) == unit.path; };
    const bool library = !pack.library.empty() && Joined(folder, pack.library) == unit.path;
    if (!library && std::none_of(pack.migrations.begin(), pack.migrations.end(), lists)) return;
    unit.pack = pack.name;
    unit.pack_version = pack.version;
    unit.pack_folder = folder;
    unit.name = pack.name + "/" + unit.name;
  }

  Pack PackOf(const std::string& yaml) {
    const auto [found, fresh] = packs_.try_emplace(yaml);
    if (!fresh) return found->second;
    Result<std::string> text = ReadText(yaml, options_);
    const FileId file = sources_.Add(yaml, text ? *text : "");
    if (text) {
      found->second = ReadPack(sources_, file, sink_);
      KeepInside(fs::path(yaml).parent_path().string(), found->second, sink_);
      CheckPackFiles(fs::path(yaml).parent_path().string(), found->second);
    } else {
      sink_.Report(DiagnosticKind::kFileNotRead, Span{file, 0, 0}, text.error().message()).Emit();
      found->second.valid = false;
    }
    return found->second;
  }

  void CheckPackFiles(const std::string& folder, const Pack& pack) {
    const auto check = [&](const std::string& file, Span span) {
      if (Exists(Joined(folder, file), options_)) return;
      sink_.Report(DiagnosticKind::kPackFile, span, fmt::format("`{}` is not in the folder of the pack", file)).Emit();
    };
    if (!pack.library.empty()) check(pack.library, pack.library_span);
    for (const PackMigration& migration : pack.migrations) check(migration.file, migration.span);
    const std::string name = fs::path(folder).filename().string();
    if (!pack.name.empty() && !name.empty() && pack.name != name) {
      sink_
          .Report(DiagnosticKind::kPackValue, pack.name_span,
                  fmt::format("the pack is named `{}` and its folder `{}`", pack.name, name))
          .Help("a pack is found by the name of its folder; give both the same name")
          .Emit();
    }
  }

  size_t AddUnit(Unit unit, const std::string& shown, std::string text) {
    unit.file = sources_.Add(shown, std::move(text));
    unit.tree = Parse(sources_.file(unit.file), unit.file, sink_);
    by_path_[unit.path] = program_.units.size();
    program_.units.push_back(std::move(unit));
    return program_.units.size() - 1;
  }

  void LoadUses(size_t index) {
    std::vector<UseEdge> edges;
    // The tree's statements stay where they are when `units` grows: a moved vector keeps its items.
    const size_t count = program_.units[index].tree.statements.size();
    for (size_t i = 0; i < count; ++i) {
      const ast::Statement& statement = program_.units[index].tree.statements[i];
      const auto* use = std::get_if<ast::Use>(&statement.kind);
      if (use == nullptr) continue;
      const std::optional<size_t> unit = use->is_path ? LoadFile(index, *use) : LoadPack(*use);
      if (unit) edges.push_back({*unit, use, statement.span});
    }
    program_.units[index].uses = std::move(edges);
  }

  std::optional<size_t> LoadFile(size_t user, const ast::Use& use) {
    const std::string folder = fs::path(program_.units[user].path).parent_path().string();
    const std::string path = Joined(folder, use.target.text);
    if (use.version) {
      sink_.Report(DiagnosticKind::kBadVersion, use.version->span, "a file has no version")
          .Help("leave `>=` out: only packs have versions")
          .Emit();
    }
    if (use.target.text.starts_with('/')) {
      sink_.Report(DiagnosticKind::kFileNotRead, use.target.span, fmt::format("`{}` is absolute", use.target.text))
          .Help("`use` takes a path from the folder of the file that it stands in")
          .Emit();
      return std::nullopt;
    }
    Unit unit;
    unit.path = path;
    unit.name = use.target.text;
    unit.scope = fs::path(path).stem().string();
    unit.pack = program_.units[user].pack;
    unit.pack_version = program_.units[user].pack_version;
    unit.pack_folder = program_.units[user].pack_folder;
    if (!unit.pack.empty() &&
        !IsInPack(unit.pack_folder, fs::path(path).lexically_relative(fs::path(unit.pack_folder)).string())) {
      sink_
          .Report(DiagnosticKind::kFileNotRead, use.target.span,
                  fmt::format("`{}` leads out of the folder of the pack `{}`", use.target.text, unit.pack))
          .Emit();
      return std::nullopt;
    }
    if (!unit.pack.empty()) unit.name = unit.pack + "/" + fs::path(path).filename().string();
    return LoadUnit(std::move(unit), use.target.span);
  }

  std::optional<size_t> LoadUnit(Unit unit, Span span) {
    if (const auto found = by_path_.find(unit.path); found != by_path_.end()) return found->second;
    if (program_.units.size() >= kMaxUnits) {
      sink_.Report(DiagnosticKind::kFileNotRead, span, fmt::format("a program of more than {} files", kMaxUnits))
          .Emit();
      return std::nullopt;
    }
    Result<std::string> text = ReadText(unit.path, options_);
    if (!text) {
      sink_.Report(DiagnosticKind::kFileNotRead, span, text.error().message()).Emit();
      return std::nullopt;
    }
    const std::string path = unit.path;
    return AddUnit(std::move(unit), path, *std::move(text));
  }

  std::optional<size_t> LoadPack(const ast::Use& use) {
    const std::string& target = use.target.text;
    const size_t slash = target.find('/');
    const std::string name = target.substr(0, slash);
    const std::string wanted = slash == std::string::npos ? "" : target.substr(slash + 1);
    const std::string folder = FolderOf(name);
    if (folder.empty()) {
      const std::vector<std::string> known = ListPacks(options_);
      std::string help = DidYouMean(name, known);
      if (help.empty()) help = "add the folder that holds it with `-I DIR`";
      auto report = sink_.Report(DiagnosticKind::kUnknownPack, use.target.span,
                                 fmt::format("there is no pack `{}` on the pack path", name));
      for (const std::string& searched : options_.pack_path) {
        static_cast<void>(std::move(report).Note(fmt::format("looked in `{}`", searched)));
      }
      std::move(report).Help(help).Emit();
      return std::nullopt;
    }
    const Pack pack = PackOf(Joined(folder, "pack.yaml"));
    CheckVersion(use, pack);
    const std::string file = FileOf(pack, wanted, use.target.span);
    if (file.empty()) return std::nullopt;
    Unit unit;
    unit.path = Joined(folder, file);
    unit.name = pack.name + "/" + file;
    unit.scope = name;
    unit.pack = pack.name;
    unit.pack_version = pack.version;
    unit.pack_folder = folder;
    return LoadUnit(std::move(unit), use.target.span);
  }

  std::string FolderOf(const std::string& name) const {
    for (const std::string& root : options_.pack_path) {
      const std::string folder = Joined(root, name);
      if (Exists(Joined(folder, "pack.yaml"), options_)) return folder;
    }
    return "";
  }

  void CheckVersion(const ast::Use& use, const Pack& pack) {
    if (!use.version) return;
    if (!IsVersion(use.version->text)) {
      sink_
          .Report(DiagnosticKind::kBadVersion, use.version->span,
                  fmt::format("`{}` is not a version", use.version->text))
          .Help("a version is numbers and dots, as `1.0.0`")
          .Emit();
      return;
    }
    if (CompareVersions(pack.version, use.version->text) != -1) return;
    sink_
        .Report(DiagnosticKind::kPackVersion, use.version->span,
                fmt::format("pack `{}` is version {}, older than {}", pack.name, pack.version, use.version->text))
        .Emit();
  }

  // The pack's file that a `use` means; empty with a report if that is not clear.
  std::string FileOf(const Pack& pack, const std::string& wanted, Span span) {
    if (wanted.empty() && !pack.library.empty()) return pack.library;
    if (wanted.empty() && pack.migrations.size() == 1) return pack.migrations[0].file;
    std::vector<std::string> names;
    for (const PackMigration& migration : pack.migrations) {
      if (migration.name == wanted) return migration.file;
      names.push_back(pack.name + "/" + migration.name);
    }
    if (!pack.valid && names.empty()) return "";
    std::string message = wanted.empty() ? fmt::format("pack `{}` has {} migrations", pack.name, names.size())
                                         : fmt::format("pack `{}` has no migration `{}`", pack.name, wanted);
    std::string help = names.empty() ? "it offers none" : fmt::format("write {}", ListOf(names));
    sink_.Report(DiagnosticKind::kUnknownMigration, span, std::move(message)).Help(std::move(help)).Emit();
    return "";
  }

  // Depth-first with an explicit stack; true if a circle was found.
  bool ReportCycles() {
    enum class State : uint8_t { kNew, kOpen, kDone };
    std::vector<State> state(program_.units.size(), State::kNew);
    std::vector<std::pair<size_t, size_t>> stack = {{0, 0}};
    bool found = false;
    if (!program_.units.empty()) state[0] = State::kOpen;
    while (!stack.empty()) {
      auto& [unit, next] = stack.back();
      if (next == program_.units[unit].uses.size()) {
        state[unit] = State::kDone;
        stack.pop_back();
        continue;
      }
      const UseEdge& edge = program_.units[unit].uses[next++];
      if (state[edge.unit] == State::kOpen) {
        found = true;
        ReportCycle(edge, stack);
      } else if (state[edge.unit] == State::kNew) {
        state[edge.unit] = State::kOpen;
        stack.emplace_back(edge.unit, 0);
      }
    }
    return found;
  }

  void ReportCycle(const UseEdge& edge, const std::vector<std::pair<size_t, size_t>>& stack) {
    std::string path;
    bool inside = false;
    for (const auto& [unit, next] : stack) {
      inside = inside || unit == edge.unit;
      if (inside) path += fmt::format("`{}` uses ", program_.units[unit].name);
    }
    path += fmt::format("`{}`", program_.units[edge.unit].name);
    sink_.Report(DiagnosticKind::kUseCycle, edge.use->target.span, "files use each other in a circle")
        .Note(path)
        .Help("move what both need into a third file")
        .Emit();
  }

  void AssignLevels() {
    // Longest path; there is no circle, so as many rounds as units settle it.
    for (size_t round = 0; round < program_.units.size(); ++round) {
      bool changed = false;
      for (const Unit& unit : program_.units) {
        for (const UseEdge& edge : unit.uses) {
          uint32_t& level = program_.units[edge.unit].level;
          if (level > unit.level) continue;
          level = unit.level + 1;
          changed = true;
        }
      }
      if (!changed) return;
    }
  }

  // Two files whose variables would bear the same names.
  void CheckScopes() {
    std::map<std::string, size_t> seen;
    for (size_t user = 0; user < program_.units.size(); ++user) {
      for (const UseEdge& edge : program_.units[user].uses) {
        const Unit& unit = program_.units[edge.unit];
        const auto [found, fresh] = seen.try_emplace(unit.scope, edge.unit);
        if (fresh || found->second == edge.unit) continue;
        sink_
            .Report(DiagnosticKind::kUsedTwice, edge.use->target.span,
                    fmt::format("`{}` and `{}` would both be called `{}`", program_.units[found->second].name,
                                unit.name, unit.scope))
            .Help("a program uses one file of a name; give the files different names")
            .Emit();
      }
    }
  }

  // What a pack.yaml says of parameters, against the `param` statements of the files that were read.
  void CheckPackParams(const Pack& pack) {
    std::map<std::string, const ast::Param*> declared;
    size_t files = 0;
    for (const Unit& unit : program_.units) {
      if (pack.name.empty() || unit.pack != pack.name) continue;
      ++files;
      for (const ast::Statement& statement : unit.tree.statements) {
        if (const auto* param = std::get_if<ast::Param>(&statement.kind)) declared[param->name.text] = param;
      }
    }
    const bool all_read = pack.migrations.size() + (pack.library.empty() ? 0 : 1) <= files;
    for (const PackParam& param : pack.params) {
      const auto found = declared.find(param.name);
      if (found == declared.end()) {
        if (!all_read) continue;
        sink_
            .Report(DiagnosticKind::kPackParam, param.span,
                    fmt::format("the rules of the pack have no parameter `{}`", param.name))
            .Emit();
      } else if (found->second->type.text != param.type) {
        sink_
            .Report(DiagnosticKind::kPackParam, param.span,
                    fmt::format("`{}` is `{}` here and `{}` in the rules", param.name, param.type,
                                found->second->type.text))
            .With(found->second->type.span, "its type")
            .Emit();
      }
    }
  }

  const LoadOptions& options_;
  SourceMap& sources_;
  DiagnosticSink& sink_;
  Program program_;
  std::map<std::string, size_t> by_path_;
  std::map<std::string, Pack> packs_;
};

}  // namespace

Program LoadProgram(const std::string& path, const LoadOptions& options, SourceMap& sources, DiagnosticSink& sink) {
  return Loader(options, sources, sink).Load(path);
}

FoundPack FindPack(const std::string& name, const LoadOptions& options, SourceMap& sources, DiagnosticSink& sink) {
  for (const std::string& root : options.pack_path) {
    const std::string yaml = Joined(Joined(root, name), "pack.yaml");
    if (!Exists(yaml, options)) continue;
    const Result<std::string> text = ReadText(yaml, options);
    const FileId file = sources.Add(yaml, text ? *text : "");
    FoundPack found{Joined(root, name), ReadPack(sources, file, sink)};
    KeepInside(found.folder, found.pack, sink);
    return found;
  }
  return {};
}

std::vector<std::string> ListPacks(const LoadOptions& options) {
  std::set<std::string> names;
  for (const std::string& root : options.pack_path) {
    const auto folders = ListFolder(root);  // a root need not be there
    for (const std::string& name : folders ? *folders : std::vector<std::string>{}) {
      if (Exists((fs::path(root) / name / "pack.yaml").string(), options)) names.insert(name);
    }
    const std::string prefix = Normal(root) + "/";
    for (const auto& [path, text] : options.memory_files) {
      const fs::path normal(Normal(path));
      if (normal.filename() == "pack.yaml" && normal.string().starts_with(prefix)) {
        names.insert(normal.parent_path().filename().string());
      }
    }
  }
  return {names.begin(), names.end()};
}

}  // namespace ckmap
