#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "compiler/lsp/features.h"
#include "compiler/lsp/words.h"
#include "runtime/base/text.h"
#include "runtime/ops/op_table.h"

namespace ckmap::lsp {
namespace {

constexpr size_t kMaxNames = 500;

class Completer {
 public:
  Completer(const Analysis& analysis, uint32_t offset, const std::vector<std::string>& pack_path)
      : analysis_(analysis), text_(analysis.file().text()), offset_(offset), pack_path_(pack_path) {
    for (const Token& token : analysis.tokens) {
      if (token.span.begin >= offset) break;
      before_.push_back(&token);
    }
  }

  Completions Run() {
    out_.replaced = {analysis_.program.units[0].file, offset_, offset_};
    if (!before_.empty() && Inside(*before_.back())) {
      if (IsComment(*before_.back())) return std::move(out_);
      if (before_.back()->kind == TokenKind::kText || Text(*before_.back()).starts_with('"')) {
        InPattern(*before_.back());
        return std::move(out_);
      }
      out_.replaced.begin = before_.back()->span.begin;
      before_.pop_back();  // the word that is being typed
    }
    while (!before_.empty() && IsComment(*before_.back())) before_.pop_back();
    AtWord();
    return std::move(out_);
  }

 private:
  using Kind = Completion::Kind;

  static bool IsComment(const Token& token) {
    return token.kind == TokenKind::kComment || token.kind == TokenKind::kDoc;
  }
  std::string_view Text(const Token& token) const {
    return text_.substr(token.span.begin, token.span.end - token.span.begin);
  }

  // Whether the token goes on at the cursor.
  bool Inside(const Token& token) const {
    if (IsComment(token))
      return offset_ <= token.span.end &&
             text_.substr(token.span.begin, offset_ - token.span.begin).find('\n') == std::string_view::npos;
    if (token.kind == TokenKind::kText) return offset_ < token.span.end;
    if (token.kind == TokenKind::kBad) return offset_ <= token.span.end && Text(token).starts_with('"');
    return offset_ <= token.span.end &&
           (token.kind == TokenKind::kWord || token.kind == TokenKind::kKeyword || token.kind == TokenKind::kDotted);
  }

  void Add(std::string label, Kind kind, std::string detail = "", std::string documentation = "",
           std::string insert = "", bool snippet = false) {
    out_.items.push_back(
        {std::move(label), kind, std::move(detail), std::move(documentation), std::move(insert), snippet});
  }

  // ---- what the words in front of the cursor say -----------------------------------------------------

  std::string_view Last() const { return before_.empty() ? std::string_view(";") : Text(*before_.back()); }
  bool LastIsSymbol() const { return before_.empty() || before_.back()->kind == TokenKind::kSymbol; }

  // The first word of the statement that the cursor is in, and whether an arrow stands between.
  struct Statement {
    std::string_view head;
    bool arrow = false;
    std::string_view clause;               // the last clause word
    std::vector<std::string_view> blocks;  // heads of the blocks around it, outermost first
  };
  Statement Around() const {
    Statement statement;
    for (const Token* token : before_) {
      if (IsComment(*token)) continue;
      const std::string_view text = Text(*token);
      const bool symbol = token->kind == TokenKind::kSymbol;
      if (symbol && text == "{") statement.blocks.push_back(statement.head);
      if (symbol && text == "}" && !statement.blocks.empty()) statement.blocks.pop_back();
      if (symbol && (text == ";" || text == "{" || text == "}")) {
        statement.head = statement.clause = {};
        statement.arrow = false;
        continue;
      }
      if (statement.head.empty()) statement.head = text;
      if (symbol && (text == "->" || text == "<->")) statement.arrow = true;
      if (text == "when" || text == "where" || text == "exactly" || text == "because" || text == "equals")
        statement.clause = text;
    }
    return statement;
  }

  // The operation or function whose parentheses are open; empty: none.
  std::string_view OpenCall() const {
    int depth = 0;
    for (size_t i = before_.size(); i-- > 0;) {
      const std::string_view text = Text(*before_[i]);
      if (before_[i]->kind != TokenKind::kSymbol) continue;
      if (text == ")") ++depth;
      if (text == "(" && depth-- == 0) return i > 0 ? Text(*before_[i - 1]) : std::string_view();
      if (text == ";" || text == "{" || text == "}") return {};
    }
    return {};
  }

  void AtWord() {
    const Statement around = Around();
    const std::string_view last = Last();
    if (around.head.empty()) return AtStatement(around);
    if (last == "|" && LastIsSymbol()) return Operations();
    if (const OpSpec* op = FindOp(OpenCall())) return Arguments(*op);
    if (last == "is" && around.head == "module") return Layers();
    if (last == "use") return Packs();
    if (around.head == "cast" || last == "cast") return DTypesAndOverflow(last);
    if (last == ":" && around.head == "param") return Types();
    if (around.head == "init" && last == "=") return Words({"keep", "zeros", "ones", "constant"});
    if (around.head == "drop" && last == "equals")
      return Words({"zeros", "ones", "constant", "iota", "tril", "inv_freq"});
    if (around.head == "allow" && last == "allow") return Words({"missing", "unused"});
    if (around.head == "decide" && !LastIsSymbol() && last.ends_with('"')) return Words({"for", "missing", "unused"});
    if (around.head == "match") return Words({"suffix"});
    const bool expression = around.clause == "when" || around.clause == "where" || around.head == "let" ||
                            around.head == "assert" || last == "=" || last == "[" || !OpenCall().empty();
    if (expression) return Expression();
    if (last == "->" || last == "<->") return Names(true);
    Clauses(around);
  }

  void AtStatement(const Statement& around) {
    const std::string_view block = around.blocks.empty() ? std::string_view() : around.blocks.back();
    if (block == "target") return Words({"allow", "cast", "match"});
    if (block == "rename") return Names(false);
    for (const WordDoc& word : WordDocs()) {
      if (word.snippet.empty() || (!block.empty() && !word.in_block)) continue;
      if (block == "layer" && word.word != "drop") continue;
      Add(std::string(word.word), Kind::kSnippet, std::string(word.form), std::string(word.doc),
          std::string(word.snippet), true);
    }
    if (block.empty()) Names(false);
  }

  void Words(std::initializer_list<std::string_view> words) {
    for (const std::string_view word : words) {
      const WordDoc* doc = FindWordDoc(word);
      Add(std::string(word), Kind::kKeyword, doc == nullptr ? "" : std::string(doc->form),
          doc == nullptr ? "" : std::string(doc->doc));
    }
  }

  void Clauses(const Statement& around) {
    if (around.head == "drop") return Words({"when", "equals", "because"});
    if (around.head == "init" || around.head == "module" || around.head == "within" || around.head == "layer")
      return Words({"when"});
    if (around.arrow && around.head != "rename") return Words({"when", "where", "exactly"});
  }

  // ---- lists -----------------------------------------------------------------------------------------

  void Operations() {
    for (const OpSpec& op : Ops()) {
      const bool bare = op.args.empty();
      Add(std::string(op.name), Kind::kFunction, std::string(op.shapes), OpMarkdown(op),
          fmt::format("{}({})", op.name, bare ? "" : "$0"), true);
    }
  }

  void Arguments(const OpSpec& op) {
    const std::string_view last = Last();
    if (last == "=" && before_.size() > 1) {
      const std::string_view name = Text(*before_[before_.size() - 2]);
      for (const ArgSpec& arg : op.args) {
        if (arg.name == name && arg.type == ArgType::kWord) return Choices(arg.choices);
        if (arg.name == name && arg.type == ArgType::kDType) return DTypeNames();
      }
      return Expression();
    }
    for (const ArgSpec& arg : op.args) {
      if (arg.type == ArgType::kDType) DTypeNames();
      if (arg.variadic) continue;
      Add(fmt::format("{}=", arg.name), Kind::kField,
          arg.default_text.empty() ? "" : fmt::format("default: {}", arg.default_text));
    }
    Expression();
  }

  void Choices(std::string_view choices) {
    while (!choices.empty()) {
      const size_t end = std::min(choices.find('|'), choices.size());
      Add(std::string(choices.substr(0, end)), Kind::kConstant);
      choices.remove_prefix(std::min(end + 1, choices.size()));
    }
  }

  void DTypeNames() {
    for (const char* name : {"f32", "f16", "bf16", "f64", "i8", "u8", "i16", "i32", "i64", "bool"})
      Add(name, Kind::kConstant);
  }
  void DTypesAndOverflow(std::string_view last) {
    if (last == "=") return Words({"error", "saturate", "inf"});
    DTypeNames();
    if (last != "cast" && last != "->") Add("overflow=", Kind::kField);
  }
  void Types() { Words({"int", "float", "bool", "string", "json"}); }

  // Captures, sizes, parameters and functions.
  void Expression() {
    std::set<std::string> seen;
    for (const Symbol& symbol : analysis_.symbols.symbols) {
      const bool variable = symbol.kind == SymbolKind::kParam || symbol.kind == SymbolKind::kLet;
      const bool local =
          (symbol.kind == SymbolKind::kCapture || symbol.kind == SymbolKind::kDim) && InStatement(symbol.span);
      if ((variable || local) && seen.insert(symbol.name).second) {
        Add(symbol.name, Kind::kVariable,
            symbol.kind == SymbolKind::kParam ? "parameter"
            : symbol.kind == SymbolKind::kLet ? "value"
            : symbol.kind == SymbolKind::kDim ? "size"
                                              : "capture");
      }
    }
    for (const FunctionSpec& function : Functions()) {
      Add(std::string(function.name), Kind::kFunction, std::string(function.doc), "",
          fmt::format("{}($0)", function.name), true);
    }
  }

  // Whether a place belongs to the statement that the cursor is in, or to a block around it. While a statement is
  // being typed it is not in the tree, so the text decides.
  bool InStatement(Span span) const {
    if (span.begin >= offset_) return false;
    const std::string_view between = text_.substr(span.end, offset_ - span.end);
    return between.find(';') == std::string_view::npos;
  }

  void Layers() {
    std::set<std::string> seen;
    for (const Unit& unit : analysis_.program.units) {
      for (const ast::Statement& statement : unit.tree.statements) {
        const auto* layer = std::get_if<ast::Layer>(&statement.kind);
        if (layer != nullptr && seen.insert(layer->name.text).second)
          Add(layer->name.text, Kind::kModule, unit.name, statement.doc);
      }
    }
  }

  void Packs() {
    for (const std::string& name : ListPacks({pack_path_, {}})) {
      SourceMap sources;
      DiagnosticSink ignored;
      const Pack pack = FindPack(name, {pack_path_, {}}, sources, ignored).pack;
      Add(name, Kind::kModule, pack.version, pack.summary);
      if (pack.migrations.size() < 2) continue;
      for (const PackMigration& migration : pack.migrations)
        Add(name + "/" + migration.name, Kind::kModule, pack.version, pack.summary);
    }
  }

  // Tensors of a manifest whose names need no quotes, or all in quotes.
  void Names(bool target) {
    const NamedManifest& named = target ? analysis_.target : analysis_.source;
    if (!named.manifest) return;
    const std::string typed(text_.substr(out_.replaced.begin, offset_ - out_.replaced.begin));
    for (const TensorInfo& tensor : named.manifest->tensors()) {
      if (!tensor.name.starts_with(typed)) continue;
      if (out_.items.size() >= kMaxNames) {
        out_.incomplete = true;
        return;
      }
      Add(tensor.name, Kind::kField, fmt::format("{} {}", DTypeName(tensor.dtype), FormatShape(tensor.shape)));
    }
  }

  // Inside of quotes: holes, or names of tensors.
  void InPattern(const Token& token) {
    const std::string_view typed = text_.substr(token.span.begin + 1, offset_ - token.span.begin - 1);
    const size_t open = typed.rfind('{'), close = typed.rfind('}');
    if (open != std::string_view::npos && (close == std::string_view::npos || close < open)) {
      if (typed.find(':', open) != std::string_view::npos) return Words({"int", "path"});
      std::set<std::string> seen;
      for (const Symbol& symbol : analysis_.symbols.symbols) {
        if (symbol.kind == SymbolKind::kCapture && InStatement(symbol.span) && seen.insert(symbol.name).second)
          Add(symbol.name, Kind::kVariable, "capture");
      }
      return;
    }
    before_.pop_back();
    const Statement around = Around();
    out_.replaced.begin = token.span.begin + 1;
    Names(around.arrow || around.head == "init" || around.head == "place" || around.head == "shard" ||
          around.head == "decide");
  }

  const Analysis& analysis_;
  std::string_view text_;
  uint32_t offset_;
  const std::vector<std::string>& pack_path_;
  std::vector<const Token*> before_;
  Completions out_;
};

}  // namespace

Completions CompleteAt(const Analysis& analysis, uint32_t offset, const std::vector<std::string>& pack_path) {
  if (!analysis.readable()) return {};
  return Completer(analysis, offset, pack_path).Run();
}

}  // namespace ckmap::lsp
