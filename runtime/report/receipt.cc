#include "runtime/report/receipt.h"

#include <algorithm>
#include <initializer_list>
#include <set>
#include <string_view>
#include <unordered_map>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <simdjson.h>

#include "runtime/base/json_document.h"
#include "runtime/base/malformed.h"
#include "runtime/base/text.h"

namespace ckmap {
namespace {

namespace dom = simdjson::dom;

constexpr const char* kLists[] = {"dropped", "initialized", "kept"};

// False if the key is there and is something else.
bool ReadTextIfThere(dom::element from, std::string_view key, std::string& out) {
  dom::element value;
  std::string_view text;
  if (from[key].get(value)) return true;
  if (value.get(text)) return false;
  out = text;
  return true;
}

bool ReadTextsIfThere(dom::element from, std::string_view key, std::vector<std::string>& out) {
  dom::element value;
  dom::array list;
  if (from[key].get(value)) return true;
  if (value.get(list)) return false;
  for (const dom::element item : list) {
    std::string_view text;
    if (item.get(text)) return false;
    out.emplace_back(text);
  }
  return true;
}

bool ReadTextMapIfThere(dom::element from, std::string_view key, std::map<std::string, std::string>& out) {
  dom::element value;
  dom::object map;
  if (from[key].get(value)) return true;
  if (value.get(map)) return false;
  for (const auto& [name, item] : map) {
    std::string_view text;
    if (item.get(text)) return false;
    out.emplace(name, text);
  }
  return true;
}

bool IsDigest(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos &&
         text.find_first_not_of('0') != std::string_view::npos;
}

// Adds to `others` the keys of an object that nothing is compared with.
void NoteOthers(dom::element object, std::string_view where, std::initializer_list<std::string_view> known,
                std::set<std::string>& others) {
  dom::object map;
  if (object.get(map)) return;
  for (const auto& [key, value] : map) {
    if (std::find(known.begin(), known.end(), key) == known.end()) others.insert(fmt::format("{}{}", where, key));
  }
}

// The names and rules of a list of a report.
Result<void> ReadList(dom::element root, const std::string& key, Receipt& receipt) {
  dom::array items;
  dom::element value;
  if (root[key].get(value)) return {};
  if (value.get(items)) return Malformed(fmt::format("its `{}` is not a list", key));
  std::map<std::string, std::string>& list = receipt.lists[key];
  for (const dom::element item : items) {
    std::string_view name;
    std::string rule;
    if (item["name"].get(name) || !ReadTextIfThere(item, "rule", rule))
      return Malformed(fmt::format("`{}` holds an entry without a name", key));
    if (!list.emplace(name, std::move(rule)).second)
      return Malformed(fmt::format("`{}` lists `{}` twice", key, EscapeText(name)));
  }
  return {};
}

Result<ReceiptTensor> ReadTensor(dom::element entry, std::set<std::string>& others) {
  NoteOthers(entry, "targets[].", {"name", "dtype", "shape", "rule", "sources", "ops", "cast", "computed", "sha256"},
             others);
  ReceiptTensor tensor;
  std::string_view name, dtype;
  dom::array shape;
  if (entry["name"].get(name) || entry["dtype"].get(dtype) || entry["shape"].get(shape))
    return Malformed("a target without name, dtype or shape");
  tensor.name = name;
  tensor.dtype = dtype;
  for (const dom::element size : shape) {
    int64_t value = 0;
    if (size.get(value) || value < 0)
      return Malformed(fmt::format("`{}` has a shape that is no list of sizes", EscapeText(name)));
    tensor.shape.push_back(value);
  }
  dom::element cast, computed;
  bool well = ReadTextIfThere(entry, "rule", tensor.rule) && ReadTextsIfThere(entry, "sources", tensor.sources) &&
              ReadTextsIfThere(entry, "ops", tensor.ops) && ReadTextIfThere(entry, "sha256", tensor.sha256);
  if (!entry["cast"].get(cast)) well = well && ReadTextIfThere(cast, "to", tensor.cast_to) && !tensor.cast_to.empty();
  tensor.computed = !entry["computed"].get(computed);
  if (!well) return Malformed(fmt::format("what is said of `{}` is not of the form of a receipt", EscapeText(name)));
  if (!tensor.sha256.empty() && !IsDigest(tensor.sha256))
    return Malformed(fmt::format("the digest of `{}` is no SHA-256", EscapeText(name)));
  return tensor;
}

Result<void> ReadPlan(dom::element root, Receipt& receipt) {
  dom::element plan;
  dom::array packs;
  if (root["plan"].get(plan) || !plan.is_object()) return Malformed("it does not say which plan was run (`plan`)");
  if (!ReadTextIfThere(plan, "digest", receipt.plan_digest) || !ReadTextIfThere(plan, "migration", receipt.migration) ||
      !ReadTextMapIfThere(plan, "params", receipt.params) || !ReadTextMapIfThere(plan, "ranks", receipt.ranks)) {
    return Malformed("what it says of the plan is not of the form of a receipt");
  }
  if (receipt.plan_digest.empty()) return Malformed("its plan has no digest");
  if (!IsDigest(receipt.plan_digest)) return Malformed("the digest of its plan is not a SHA-256");
  if (plan["packs"].get(packs)) return Malformed("it does not list the packs of the plan");
  for (const dom::element pack : packs) {
    std::string_view name, version;
    if (pack["name"].get(name) || pack["version"].get(version)) return Malformed("a pack without name or version");
    receipt.packs.emplace_back(name, version);
  }
  return {};
}

std::string Joined(const std::vector<std::string>& texts) {
  return texts.empty() ? "nothing" : EscapeText(fmt::format("{}", fmt::join(texts, ", ")));
}

// "`q`: the receipt says rule a.ckmap:2, the plan gives a.ckmap:3".
class Differences {
 public:
  explicit Differences(std::vector<Issue>& issues) : issues_(issues) {}

  void Compare(const std::string& tensor, std::string_view what, const std::string& says, const std::string& gives) {
    if (says == gives) return;
    const std::string of = tensor.empty() ? "" : fmt::format("`{}`: ", EscapeText(tensor));
    issues_.push_back(ReceiptIssue(tensor, fmt::format("{}the receipt says {} {}, the plan gives {}", of, what,
                                                       says.empty() ? "nothing" : EscapeText(says),
                                                       gives.empty() ? "nothing" : EscapeText(gives))));
  }

  void CompareMaps(std::string_view what, const std::map<std::string, std::string>& says,
                   const std::map<std::string, std::string>& gives) {
    const auto value = [](const auto& map, const std::string& key) {
      const auto found = map.find(key);
      return found == map.end() ? std::string() : found->second;
    };
    for (const auto& [key, text] : says)
      Compare("", fmt::format("{} {} =", what, EscapeText(key)), text, value(gives, key));
    for (const auto& [key, text] : gives) {
      if (!says.contains(key)) Compare("", fmt::format("{} {} =", what, EscapeText(key)), "", text);
    }
  }

 private:
  std::vector<Issue>& issues_;
};

}  // namespace

std::string PacksText(const Receipt& receipt) {
  std::string text;
  for (const auto& [name, version] : receipt.packs) text += (text.empty() ? "" : ", ") + name + " " + version;
  return text;
}

Issue ReceiptIssue(std::string tensor, std::string message) {
  return {.code = "CK1601",
          .severity = IssueSeverity::kError,
          .tensor = std::move(tensor),
          .message = std::move(message),
          .notes = {},
          .help = ""};
}

Result<Receipt> ParseReceipt(const std::string& json) {
  dom::parser parser;
  dom::element root;
  if (const auto error = parser.parse(json).get(root); error) {
    ThrowIfOutOfMemory(error);
    return Malformed(fmt::format("not JSON: {}", simdjson::error_message(error)));
  }
  if (const std::string key = FindRepeatedKey(root); !key.empty())
    return Malformed(fmt::format("the key \"{}\" is given twice", EscapeText(key)));
  dom::array targets;
  if (root["targets"].get(targets)) return Malformed("no report of ckmap: it has no `targets`");
  Receipt receipt;
  CKMAP_RETURN_IF_ERROR(ReadPlan(root, receipt));
  if (!ReadTextIfThere(root, "root", receipt.root)) return Malformed("its `root` is not a text");
  for (const char* key : kLists) CKMAP_RETURN_IF_ERROR(ReadList(root, key, receipt));
  std::set<std::string> others;
  NoteOthers(root, "", {"plan", "root", "targets", "dropped", "initialized", "kept"}, others);
  std::unordered_map<std::string, size_t> seen;
  const ReceiptTensor* without = nullptr;
  size_t digests = 0;
  for (const dom::element target : targets) {
    CKMAP_ASSIGN_OR_RETURN(ReceiptTensor tensor, ReadTensor(target, others));
    if (!seen.emplace(tensor.name, receipt.tensors.size()).second)
      return Malformed(fmt::format("`{}` is listed twice", EscapeText(tensor.name)));
    receipt.tensors.push_back(std::move(tensor));
  }
  for (const ReceiptTensor& tensor : receipt.tensors) {
    if (tensor.sha256.empty() && without == nullptr) without = &tensor;
    if (!tensor.sha256.empty()) ++digests;
  }
  if (digests > 0 && without != nullptr)
    return Malformed(fmt::format("`{}` has no digest, where others have one", EscapeText(without->name)));
  receipt.has_digests = digests > 0;
  receipt.others.assign(others.begin(), others.end());
  return receipt;
}

std::vector<Issue> CompareReceipts(const Receipt& carried, const Receipt& recomputed) {
  std::vector<Issue> issues;
  Differences differences(issues);
  differences.Compare("", "the plan's digest", carried.plan_digest, recomputed.plan_digest);
  differences.Compare("", "migration", carried.migration, recomputed.migration);
  differences.Compare("", "packs", PacksText(carried), PacksText(recomputed));
  differences.CompareMaps("parameter", carried.params, recomputed.params);
  differences.CompareMaps("rank", carried.ranks, recomputed.ranks);
  for (const char* key : kLists) {
    const auto says = carried.lists.find(key), gives = recomputed.lists.find(key);
    if (says == carried.lists.end() || gives == recomputed.lists.end()) continue;
    for (const auto& [name, rule] : says->second) {
      const auto found = gives->second.find(name);
      differences.Compare(name, fmt::format("{} by", key), rule, found == gives->second.end() ? "" : found->second);
    }
    for (const auto& [name, rule] : gives->second) {
      if (!says->second.contains(name)) differences.Compare(name, fmt::format("{} by", key), "", rule);
    }
  }
  std::unordered_map<std::string_view, const ReceiptTensor*> gives;
  for (const ReceiptTensor& tensor : recomputed.tensors) gives.emplace(tensor.name, &tensor);
  for (const ReceiptTensor& says : carried.tensors) {
    const auto found = gives.find(says.name);
    if (found == gives.end()) {
      issues.push_back(ReceiptIssue(
          says.name, fmt::format("`{}`: the receipt lists it, the plan does not make it", EscapeText(says.name))));
      continue;
    }
    const ReceiptTensor& tensor = *found->second;
    differences.Compare(says.name, "dtype", says.dtype, tensor.dtype);
    differences.Compare(says.name, "shape", FormatShape(says.shape), FormatShape(tensor.shape));
    differences.Compare(says.name, "rule", says.rule, tensor.rule);
    differences.Compare(says.name, "sources", Joined(says.sources), Joined(tensor.sources));
    differences.Compare(says.name, "operations", Joined(says.ops), Joined(tensor.ops));
    differences.Compare(says.name, "a cast to", says.cast_to, tensor.cast_to);
    gives.erase(found);
  }
  for (const ReceiptTensor& tensor : recomputed.tensors) {
    if (gives.contains(tensor.name)) {
      issues.push_back(ReceiptIssue(
          tensor.name, fmt::format("`{}`: the plan makes it, the receipt does not list it", EscapeText(tensor.name))));
    }
  }
  return issues;
}

}  // namespace ckmap
