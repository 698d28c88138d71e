#include "runtime/tensor/nesting.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "runtime/base/text.h"

namespace ckmap {

void LeaveOutIncomplete(Nesting& nesting) {
  std::vector<bool> incomplete(nesting.nodes.size(), false), holds_root(nesting.nodes.size(), false);
  for (size_t i = nesting.nodes.size(); i-- > 0;) {
    const Nesting::Node& node = nesting.nodes[i];
    holds_root[i] = i == nesting.root;
    incomplete[i] = node.kind == Nesting::Kind::kLeftOut;
    for (const uint32_t part : node.parts) {
      holds_root[i] = holds_root[i] || holds_root[part];
      incomplete[i] = incomplete[i] || incomplete[part];
    }
  }
  for (size_t i = 0; i < nesting.nodes.size(); ++i) {
    Nesting::Node& node = nesting.nodes[i];
    if (node.inside || holds_root[i] || !incomplete[i]) continue;
    node.kind = Nesting::Kind::kLeftOut;
    node.parts.clear();
  }
}

std::shared_ptr<const Nesting> NestingOf(const std::vector<std::string>& names, std::string_view root) {
  auto nesting = std::make_shared<Nesting>();
  nesting->root_name = root;
  nesting->nodes.push_back({.kind = Nesting::Kind::kDict});
  for (size_t begin = 0; begin < root.size();) {
    const size_t end = std::min(root.find('.', begin), root.size());
    const auto inner = static_cast<uint32_t>(nesting->nodes.size());
    nesting->nodes.back().parts.push_back(inner);
    nesting->nodes.push_back({.kind = Nesting::Kind::kDict,
                              .key = std::string(root.substr(begin, end - begin)),
                              .name = std::string(root.substr(0, end))});
    begin = end + 1;
  }
  nesting->root = static_cast<uint32_t>(nesting->nodes.size() - 1);
  for (const std::string& name : names) {
    nesting->nodes[nesting->root].parts.push_back(static_cast<uint32_t>(nesting->nodes.size()));
    nesting->nodes.push_back({.key = name, .name = name, .inside = true});
  }
  return nesting;
}

std::string SpellKey(const PlainValue& key) {
  struct Spell {
    std::string operator()(std::monostate) const { return "None"; }
    std::string operator()(bool value) const { return value ? "True" : "False"; }
    std::string operator()(int64_t value) const { return std::to_string(value); }
    std::string operator()(double value) const { return fmt::format("{}", value); }
    std::string operator()(const std::string& value) const { return fmt::format("\"{}\"", EscapeText(value)); }
  };
  return std::visit(Spell(), key);
}

std::unordered_map<std::string_view, std::string> KeyPaths(const Nesting& nesting) {
  std::unordered_map<std::string_view, std::string> paths;
  std::vector<std::string> of(nesting.nodes.size());
  for (size_t i = nesting.root; i < nesting.nodes.size(); ++i) {
    const Nesting::Node& node = nesting.nodes[i];
    if (node.kind == Nesting::Kind::kTensor && node.inside) paths.emplace(node.name, of[i]);
    for (size_t at = 0; at < node.parts.size(); ++at) {
      const bool keyed = node.kind == Nesting::Kind::kDict;
      const uint32_t part = node.parts[at];
      of[part] = fmt::format("{}[{}]", of[i], keyed ? SpellKey(nesting.nodes[part].key) : std::to_string(at));
    }
  }
  return paths;
}

}  // namespace ckmap
