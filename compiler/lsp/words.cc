#include "compiler/lsp/words.h"

#include <fmt/format.h>

namespace ckmap::lsp {
namespace {

constexpr WordDoc kWordDocs[] = {
    {"ckmap", "ckmap 1;", "The edition of the language; the first statement of every file.", "ckmap 1;\n", false},
    {"migration", "migration NAME from FRAMEWORK to FRAMEWORK;", "Names the file's migration.",
     "migration ${1:name} from ${2:pytorch} to ${3:mindspore};", false},
    {"use", "use PACK [>= VERSION] [with (k=v, …)] [exactly \"reason\"];",
     "Brings in a pack, or a file by its relative path in quotes. This file overrides what it uses.", "use ${1:std};",
     false},
    {"param", "param NAME: int|float|bool|string|json [from config \"key\"] [= default];",
     "A value that is given when the migration is run: by -D, else from config.json, else its default.",
     "param ${1:name}: ${2|int,float,bool,string,json|} = ${3:0};", false},
    {"let", "let NAME = expression;", "A named expression.", "let ${1:name} = ${2:0};", false},
    {"names", "names \"/\" -> \".\";", "The separators of the segments of names on the two sides.",
     "names \"${1:/}\" -> \".\";", false},
    {"rename", "rename A -> B; · rename { A -> B; … } · rename target …",
     "Rewrites runs of whole segments of names. All renames apply at once; the longest run wins. `rename target`: of "
     "the target's names, which then are the source's.",
     "rename ${1:from} -> ${2:to};", false},
    {"layer", "layer NAME [when …] { … }",
     "Leaf names and fixes of one kind of module, which is recognised by the tensors that it holds.",
     "layer ${1:name} when target_has(${2:gamma}) {\n  ${3:weight} [C] <-> ${2:gamma};\n}", false},
    {"module", "module \"PATTERN\" is LAYER;", "Says which layer a module is, where its tensors do not tell.",
     "module \"${1:**.norm}\" is ${2:layer};", true},
    {"within", "within \"A\" <-> \"B\" [when …] [exactly \"reason\"] { … }",
     "A common prefix of the rules inside; its captures can be used there.",
     "within \"${1:layers.{n:int\\}}\" <-> \"${2:blocks.{n\\}}\" {\n  $0\n}", true},
    {"drop", "drop PATTERN [when …] [equals VALUE] [because \"reason\"];", "Leaves source tensors out, by name.",
     "drop ${1:name} because \"${2:reason}\";", true},
    {"only", "only PATTERN;", "Leaves out every source tensor that no `only` matches.", "only \"${1:model.**}\";",
     true},
    {"init", "init PATTERN = keep|zeros|ones|constant(x) [when …];",
     "A target tensor that has no source; `keep` leaves the network's own value.",
     "init ${1:name} = ${2|keep,zeros,ones,constant(0)|};", true},
    {"target", "target { allow …; cast …; match suffix; }",
     "How strictly the target is checked. What is let through is said by name.", "target {\n  $0\n}", false},
    {"assert", "assert CONDITION [\"message\"];", "Must hold, or nothing runs.",
     "assert ${1:condition} \"${2:message}\";", true},
    {"place", "place PATTERN on \"DEVICE\";", "The device of a target tensor, for loaders that place tensors.",
     "place \"${1:**}\" on \"${2:GPU:0}\";", false},
    {"shard", "shard PATTERN axis=N over GROUP;", "How a target tensor is cut over ranks.",
     "shard \"${1:**}\" axis=${2:0} over ${3:tp};", false},
    {"decide", "decide \"QUESTION\" [for|missing|unused PATTERN, …];",
     "What is still open. The dry run goes on; nothing is converted until the statement is taken out.",
     "decide \"${1:question}\" for \"${2:**}\";", false},
    {"test", "test \"NAME\" { … }", "An example that `ckmapc test` runs.", "", false},
    {"override", "override SOURCE -> TARGET;", "In front of a rule: it wins over the other rules of its file.",
     "override ", true},
    {"allow", "allow missing|unused PATTERN;",
     "In `target`: `missing` keeps the network's own values, `unused` leaves source tensors out.", "", false},
    {"cast", "cast DTYPE -> DTYPE [overflow=error|saturate|inf];", "In `target`: converts every tensor that needs it.",
     "", false},
    {"match", "match suffix;",
     "In `target`: a target name that is a whole-segment suffix of exactly one left-over source name takes it.", "",
     false},
    {"when", "when CONDITION", "The statement applies only where the condition holds.", "", false},
    {"where", "where i in 0..n, …", "The range of an integer capture; it ends before its second number.", "", false},
    {"exactly", "exactly \"reason\"", "Confirms a rule of which a variant would fit the same shapes.", "", false},
    {"equals", "equals \"NAME\"|zeros|ones|constant(x)|iota|tril|inv_freq(theta)",
     "The tensor that is dropped holds this and nothing else, which is compared when its bytes are read.", "", false},
    {"because", "because \"reason\"", "Why a tensor is dropped; stands in the report.", "", false},
};

}  // namespace

std::span<const WordDoc> WordDocs() { return kWordDocs; }

const WordDoc* FindWordDoc(std::string_view word) {
  for (const WordDoc& doc : kWordDocs) {
    if (doc.word == word) return &doc;
  }
  return nullptr;
}

std::string OpMarkdown(const OpSpec& op) {
  std::string out = fmt::format("```ckmap\n{}\n```\n{}\n\n", Signature(op), op.doc);
  out += fmt::format("- shapes: `{}`\n- dtypes: {}; gives {}\n", op.shapes, Describe(op.takes), op.gives);
  out += fmt::format("- undone by: {}\n- cost: {}\n", op.inverse, CostClass(op.kind));
  return out;
}

std::string FunctionMarkdown(const FunctionSpec& function) {
  return fmt::format("`{}(…)`: {}", function.name, function.doc);
}

}  // namespace ckmap::lsp
