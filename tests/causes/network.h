// A migration of a real network, and mistakes made in it.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "runtime/bind/bind.h"
#include "runtime/tensor/manifest.h"

namespace ckmap {

// One side of a migration. Changes keep in mind which tensor is which.
class Side {
 public:
  Side() = default;
  explicit Side(Manifest manifest);

  const Manifest& manifest() const { return manifest_; }
  // The name that a tensor had before the mistake; its own for one that the mistake added.
  const std::string& true_name(size_t index) const { return true_names_[index]; }

  // A name that becomes empty takes its tensor away.
  void Rename(const std::function<std::string(const std::string&)>& rename);
  void Change(const std::function<void(TensorInfo&)>& change);
  void Remove(const std::string& part);  // all whose names hold it
  void Add(const std::string& name, DType dtype, Shape shape);

 private:
  Manifest manifest_;
  std::vector<std::string> true_names_;
};

struct Network {
  std::string rules;  // text of a file
  Side source, target;
  BindOptions bind;
  bool torch = false;  // the source is a torch file

  void Replace(const std::string& old_text, const std::string& new_text);  // in the rules; it must be there
};

// Rules of a pack on the manifests of tests/data/families: `text` says whether the file is a copy of the pack's rules, or
// uses the pack.
Network ReadNetwork(const std::string& pack, const std::string& family, bool copy);

struct Mistake {
  std::string name;
  std::string pack, family;
  bool copy = false;             // the user's file is a copy of the pack's rules; else it uses the pack
  std::set<std::string> causes;  // kinds that name it
  std::function<void(Network&)> make;
  bool mendable = true;    // the rules or an option can mend it
  std::string right = {};  // what mends it, where the conversion before the mistake is not the right one any more
};

std::vector<Mistake> MistakesOfNames();
std::vector<Mistake> MistakesOfRules();
std::vector<Mistake> MistakesOfNetworks();
std::vector<Mistake> MistakesOfParts();

// Every size of the axes that is `from` becomes `to`.
void Resize(Side& side, int64_t from, int64_t to);

}  // namespace ckmap
