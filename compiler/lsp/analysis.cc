#include "compiler/lsp/analysis.h"

#include <sys/stat.h>

#include <filesystem>

#include "runtime/base/file.h"
#include "runtime/base/file_stamp.h"
#include "runtime/causes/find_causes.h"
#include "runtime/formats/open.h"

namespace ckmap::lsp {
namespace {

namespace fs = std::filesystem;

std::string Beside(const std::string& file, const std::string& path) {
  return path.empty() ? "" : (fs::path(file).parent_path() / path).lexically_normal().string();
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  return text;
}

void BindManifests(Analysis& analysis, const std::string& config) {
  if (!analysis.compiled.plan || !analysis.source.manifest || !analysis.target.manifest) return;
  BindOptions options;
  if (!config.empty()) {
    options.config_path = config;
    Result<std::string> text = ReadTextFile(config, int64_t{16} << 20);
    if (text) options.config_json = *std::move(text);
  }
  auto result = Bind(*analysis.compiled.plan, *analysis.source.manifest, *analysis.target.manifest, options);
  if (!result) return;
  analysis.issues = std::move(result->issues);
  analysis.bound = std::move(result->plan);
  if (analysis.bound) return;
  constexpr double kSeconds = 0.5;  // an editor waits
  analysis.causes = FindCauses(*analysis.compiled.plan, *analysis.source.manifest, *analysis.target.manifest, options,
                               analysis.issues, {.source_has_roots = true, .seconds = kSeconds});
}

}  // namespace

NamedManifest ManifestCache::Read(const std::string& path) {
  if (path.empty()) return {};
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return {path, nullptr, "there is no such file"};
  const int64_t stamp = StampOf(info).changed_ns;  // the time of modification may have been put back
  Entry& entry = entries_[path];
  if (entry.stamp == stamp && entry.read.path == path) return entry.read;
  Result<Manifest> manifest = ReadManifest(path);
  entry.stamp = stamp;
  entry.read = {path, nullptr, manifest ? "" : manifest.error().message()};
  if (manifest) entry.read.manifest = std::make_shared<const Manifest>(*std::move(manifest));
  return entry.read;
}

Directives ReadDirectives(const SourceFile& file, const std::vector<Token>& tokens) {
  Directives directives;
  const std::pair<std::string_view, std::optional<Directives::Directive>*> kinds[] = {
      {"source:", &directives.source}, {"target:", &directives.target}, {"config:", &directives.config}};
  for (const Token& token : tokens) {
    if (token.kind != TokenKind::kComment) continue;
    std::string_view text = file.text().substr(token.span.begin, token.span.end - token.span.begin);
    text.remove_prefix(std::min(text.find_first_not_of('#'), text.size()));
    text = Trimmed(text);
    for (const auto& [word, directive] : kinds) {
      if (text.starts_with(word) && !*directive)
        *directive = {std::string(Trimmed(text.substr(word.size()))), token.span};
    }
  }
  return directives;
}

std::unique_ptr<Analysis> Analyze(const std::string& path, const std::map<std::string, std::string>& memory_files,
                                  const Settings& settings, ManifestCache& cache) {
  auto analysis = std::make_unique<Analysis>();
  DiagnosticSink ignored;  // the compiler says it again, with more
  analysis->program = LoadProgram(path, {settings.pack_path, memory_files}, analysis->sources, ignored);
  analysis->compiled = Compile(path, {settings.pack_path, memory_files, {}, false});
  if (analysis->program.units.empty()) return analysis;
  // The program's pack.yaml may come first; the file itself is what the tools work on.
  const FileId id = analysis->program.units[0].file;
  analysis->symbols = ReadSymbols(analysis->program.units[0].tree, analysis->sources.file(id));
  analysis->tokens = Tokenize(analysis->sources.file(id), id);
  analysis->directives = ReadDirectives(analysis->sources.file(id), analysis->tokens);
  const auto pick = [&](const auto& directive, const std::string& setting) {
    return directive ? Beside(path, directive->path) : setting;
  };
  analysis->source = cache.Read(pick(analysis->directives.source, settings.source));
  analysis->target = cache.Read(pick(analysis->directives.target, settings.target));
  BindManifests(*analysis, pick(analysis->directives.config, settings.config));
  return analysis;
}

}  // namespace ckmap::lsp
