#include "compiler/doc/doc.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "compiler/diag/did_you_mean.h"
#include "compiler/doc/file_page.h"
#include "compiler/doc/markdown.h"
#include "runtime/ops/op_table.h"

namespace ckmap {
namespace {

namespace fs = std::filesystem;

std::string Joined(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, ", ")); }

// One file, with the parameters of all that it brings in.
Result<std::string> FileBody(const std::string& path, const Pack& pack, const LoadOptions& options, int level) {
  SourceMap sources;
  DiagnosticSink sink;
  const Program program = LoadProgram(path, options, sources, sink);
  if (program.units.empty()) return Error(ErrorCode::kIo, sink.Sorted()[0].message);
  if (sink.has_errors()) {
    return Error(ErrorCode::kMismatch,
                 fmt::format("{}: {}; `ckmapc check` says where", path, sink.Sorted()[0].message));
  }
  std::string out = doc::FileSections(program.units[0], sources, level);
  const std::string params = doc::ParamTable(program, sources, pack);
  if (!params.empty()) out += fmt::format("{} Parameters\n\n{}", std::string(static_cast<size_t>(level), '#'), params);
  return out;
}

// What was measured; one row a network.
std::string CardsTable(const std::vector<VerificationCard>& cards) {
  std::vector<std::vector<std::string>> rows;
  for (const VerificationCard& card : cards) {
    std::string defines;
    for (const auto& [name, value] : card.defines)
      defines += fmt::format("{}-D {}={}", defines.empty() ? "" : " ", name, value);
    rows.push_back({doc::Cell(card.network), doc::Cell(card.source), doc::Cell(card.target),
                    defines.empty() ? "" : doc::Code(defines), std::to_string(card.tensors),
                    fmt::format("{} of {}", card.equal, card.elements),
                    card.max_difference ? fmt::format("{:g}", *card.max_difference) : "",
                    card.cosine ? fmt::format("{:g}", *card.cosine) : "", card.date});
  }
  if (rows.empty()) return {};
  return doc::Table({"network", "source", "target", "given", "tensors", "elements equal bit for bit",
                     "largest difference", "cosine", "date"},
                    rows) +
         "\n";
}

Result<std::string> PackBody(const FoundPack& found, const std::string& wanted, const LoadOptions& options) {
  const Pack& pack = found.pack;
  std::string out = fmt::format("# {} {}\n\n", pack.name, pack.version);
  if (!pack.summary.empty()) out += doc::Cell(pack.summary) + "\n\n";
  if (!pack.frameworks.empty()) out += fmt::format("Frameworks: {}.\n\n", Joined(pack.frameworks));
  const auto add = [&](const std::string& title, const std::string& file) -> Result<void> {
    CKMAP_ASSIGN_OR_RETURN(const std::string body,
                           FileBody((fs::path(found.folder) / file).string(), pack, options, 3));
    out += fmt::format("## {}\n\n{}", title, body);
    return {};
  };
  if (!pack.library.empty() && wanted.empty()) {
    out += fmt::format("A library: `use {};` brings in what follows.\n\n", pack.name);
    CKMAP_RETURN_IF_ERROR(add("Library", pack.library));
  }
  for (const PackMigration& migration : pack.migrations) {
    if (!wanted.empty() && migration.name != wanted) continue;
    CKMAP_RETURN_IF_ERROR(add(fmt::format("{}/{}", pack.name, migration.name), migration.file));
    if (!migration.verified.empty()) out += fmt::format("Verified on: {}.\n\n", Joined(migration.verified));
    out += CardsTable(migration.cards);
  }
  return out;
}

std::string Trimmed(std::string page) {
  while (page.ends_with("\n\n")) page.pop_back();
  return page;
}

std::string OperationSection(const OpSpec& op) {
  std::string out = fmt::format("### {}\n\n`{}`\n\n{}\n\n", op.name, Signature(op), op.doc);
  out += fmt::format("- Shapes: `{}`\n", op.shapes);
  out += fmt::format("- Dtypes: {}; gives {}\n", Describe(op.takes), op.gives);
  const char* how = op.undone == Inverse::kAlways ? "by" : op.undone == Inverse::kSometimes ? "sometimes:" : "never:";
  out += fmt::format("- Undone {} {}\n- Costs {}\n\n", how, op.inverse, CostClass(op.kind));
  std::vector<std::vector<std::string>> args;
  for (const ArgSpec& arg : op.args) {
    std::string choices(arg.choices);
    std::replace(choices.begin(), choices.end(), '|', ' ');
    args.push_back({doc::Code(arg.name), arg.required ? "required" : "", doc::Code(arg.default_text),
                    doc::Cell(choices), arg.variadic ? "takes all that have no name" : ""});
  }
  out += doc::Table({"argument", "", "default", "one of", ""}, args);
  std::vector<std::vector<std::string>> errors;
  for (const OpError& error : op.errors) errors.push_back({std::string(error.code), doc::Cell(error.when)});
  return out + doc::Table({"mistake", "when"}, errors);
}

}  // namespace

Result<std::string> RulesPage(const std::string& name, const LoadOptions& options) {
  std::error_code error;
  if (name.ends_with(".ckmap") || fs::is_regular_file(name, error)) {
    CKMAP_ASSIGN_OR_RETURN(const std::string body, FileBody(name, {}, options, 2));
    return Trimmed(fmt::format("# {}\n\n{}", fs::path(name).filename().string(), body));
  }
  const size_t slash = name.find('/');
  const std::string wanted = slash == std::string::npos ? "" : name.substr(slash + 1);
  SourceMap sources;
  DiagnosticSink sink;
  const FoundPack found = FindPack(name.substr(0, slash), options, sources, sink);
  const auto is = [&](const PackMigration& migration) { return migration.name == wanted; };
  const bool known = !found.folder.empty() &&
                     (wanted.empty() || std::any_of(found.pack.migrations.begin(), found.pack.migrations.end(), is));
  if (known) {
    CKMAP_ASSIGN_OR_RETURN(std::string page, PackBody(found, wanted, options));
    return Trimmed(std::move(page));
  }
  const std::string nearest = DidYouMean(name, ListPacks(options));
  return Error(ErrorCode::kUsage,
               fmt::format("there is no pack `{}` on the pack path{}{}", name, nearest.empty() ? "" : "; ", nearest));
}

std::string OperationsPage() {
  std::string out = "# Operations\n\nAxes count from 0, or from -1 backwards.\n\n";
  const std::pair<OpKind, const char*> kinds[] = {{OpKind::kStructural, "Moving elements"},
                                                  {OpKind::kElementwise, "Element by element"},
                                                  {OpKind::kComputed, "Computed"}};
  for (const auto& [kind, title] : kinds) {
    std::string part;
    for (const OpSpec& op : Ops()) {
      if (op.kind == kind) part += OperationSection(op);
    }
    if (!part.empty()) out += fmt::format("## {}\n\n{}", title, part);
  }
  std::vector<std::vector<std::string>> functions;
  for (const FunctionSpec& function : Functions())
    functions.push_back({doc::Code(fmt::format("{}(…)", function.name)), doc::Cell(function.doc)});
  return Trimmed(out + "## Functions of expressions\n\n" + doc::Table({"function", "value"}, functions));
}

}  // namespace ckmap
