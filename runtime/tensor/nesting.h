// How the values of a torch file lie in one another. Names join the keys with dots, and do not show it: `{"model":
// {"fc": …}}` and `{"model.fc": …}` both have a tensor `model.fc`.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

namespace ckmap {

// A value of Python that is not a container: None, a bool, an int, a float, a str.
using PlainValue = std::variant<std::monostate, bool, int64_t, double, std::string>;

struct Nesting {
  // kLeftOut: what has no place in an output: an object, bytes, a tensor beside the root. In a list None stands for it.
  enum class Kind : uint8_t { kTensor, kValue, kDict, kList, kTuple, kLeftOut };
  struct Node {
    Kind kind = Kind::kTensor;
    PlainValue key = {};               // in the dict that holds it; without meaning in a list or tuple
    PlainValue value = {};             // of a kValue
    std::string name = {};             // keys joined with dots, from the root on where it lies inside
    bool inside = false;               // it lies in the root: a tensor is that of the manifest, by its name
    std::vector<uint32_t> parts = {};  // of a dict, list or tuple: its nodes, in order, each of a greater index
  };
  std::vector<Node> nodes;             // [0] is the outermost, a container
  uint32_t root = 0;                   // the container whose tensors the manifest lists
  std::string root_name;               // "state_dict", "a.b"; "" for nodes[0]
  std::vector<std::string> converted;  // names of objects and keys that stand here as dicts and texts
};

// Leaves out whatever stands beside the root and does not stand there whole: an optimizer without its tensors is none.
void LeaveOutIncomplete(Nesting& nesting);

// Dicts with `root` ("a.b" for b in a) as the innermost, whose entries are all tensors, under their names.
std::shared_ptr<const Nesting> NestingOf(const std::vector<std::string>& names, std::string_view root);

// Where each tensor inside of the root lies, from there on, as Python spells it: `["model"]["fc.weight"]`.
std::unordered_map<std::string_view, std::string> KeyPaths(const Nesting& nesting);

// As Python spells a key: `"a"`, `0`, `True`, `None`.
std::string SpellKey(const PlainValue& key);

}  // namespace ckmap
