#include "compiler/suggest/join.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/suggest/words.h"

namespace ckmap::suggest {
namespace {

constexpr size_t kMaxSiblings = 12;
constexpr size_t kMaxFormPairs = 250'000;  // pairs of forms
constexpr size_t kMaxSegments = 40;
constexpr size_t kMaxNumbers = 6;  // that have names

// Tensors of one form that are left over, by their numbers.
struct Rest {
  std::string form;
  std::map<Index, size_t> tensors;
};

bool Digits(std::string_view text) {
  return !text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::vector<Rest> RestOf(const Manifest& manifest, const std::vector<bool>& used) {
  std::map<std::string, Rest> by_form;
  std::vector<std::string> order;
  for (size_t i = 0; i < manifest.size(); ++i) {
    if (used[i]) continue;
    std::string form;
    Index index;
    for (const std::string& segment : Segments(manifest[i].name)) {
      if (!form.empty()) form += '.';
      form += Digits(segment) ? "#" : segment;
      if (Digits(segment)) index.push_back(std::stoll(segment));
    }
    if (index.size() > kMaxNumbers) continue;
    Rest& rest = by_form[form];
    if (rest.form.empty()) order.push_back(form);
    rest.form = form;
    rest.tensors[index] = i;
  }
  std::vector<Rest> all;
  for (const std::string& form : order) all.push_back(std::move(by_form[form]));
  return all;
}

bool SameNumbers(const Rest& a, const Rest& b) {
  return a.tensors.size() == b.tensors.size() &&
         std::equal(a.tensors.begin(), a.tensors.end(), b.tensors.begin(),
                    [](const auto& x, const auto& y) { return x.first == y.first; });
}

// Forms that differ in one segment only, in the order in which their parts are usually joined.
struct Siblings {
  size_t segment = 0;
  std::vector<size_t> rests;
};

int PartOrder(const std::string& segment) {
  static const std::vector<std::string> kOrder = {"q", "k", "v", "gate", "up"};
  for (const std::string& word : WordsOf(segment)) {
    const auto found = std::find(kOrder.begin(), kOrder.end(), word);
    if (found != kOrder.end()) return static_cast<int>(found - kOrder.begin());
  }
  return static_cast<int>(kOrder.size());
}

std::vector<Siblings> SiblingsOf(const std::vector<Rest>& rests) {
  std::map<std::string, Siblings> by_skeleton;
  for (size_t r = 0; r < rests.size(); ++r) {
    std::vector<std::string> segments = Segments(rests[r].form);
    if (segments.size() > kMaxSegments) continue;
    for (size_t s = 0; s < segments.size(); ++s) {
      if (segments[s] == "#") continue;
      std::vector<std::string> skeleton = segments;
      skeleton[s] = "*";
      Siblings& siblings = by_skeleton[fmt::format("{}", fmt::join(skeleton, "."))];
      siblings.segment = s;
      siblings.rests.push_back(r);
    }
  }
  std::vector<Siblings> all;
  for (auto& [skeleton, siblings] : by_skeleton) {
    if (siblings.rests.size() < 2 || siblings.rests.size() > kMaxSiblings) continue;
    std::stable_sort(siblings.rests.begin(), siblings.rests.end(), [&](size_t a, size_t b) {
      return PartOrder(Segments(rests[a].form)[siblings.segment]) <
             PartOrder(Segments(rests[b].form)[siblings.segment]);
    });
    all.push_back(std::move(siblings));
  }
  return all;
}

// "{q,k,v}_proj" of "q_proj", "k_proj", "v_proj".
std::string Alternatives(const std::vector<std::string>& words) {
  const auto shared = [&](auto begin, auto end) {
    size_t count = 0;
    for (;; ++count) {
      for (const std::string& word : words) {
        const auto at = begin(word) + static_cast<std::ptrdiff_t>(count);
        if (count >= word.size() || at == end(word) || *at != *(begin(words[0]) + static_cast<std::ptrdiff_t>(count)))
          return count;
      }
    }
  };
  const size_t front =
      shared([](const std::string& w) { return w.begin(); }, [](const std::string& w) { return w.end(); });
  size_t back = shared([](const std::string& w) { return w.rbegin(); }, [](const std::string& w) { return w.rend(); });
  for (const std::string& word : words) back = std::min(back, word.size() - std::min(front, word.size()));
  std::string out = words[0].substr(0, front) + "{";
  for (const std::string& word : words)
    out += (out.back() == '{' ? "" : ",") + word.substr(front, word.size() - front - back);
  return out + "}" + words[0].substr(words[0].size() - back);
}

// The name with captures for its numbers; `gather`: the number that is gathered.
std::string Name(const std::string& form, bool left, size_t segment, const std::string& text, int gather = -1) {
  static const char* const kNames[] = {"n", "i", "j", "k", "l", "m"};
  std::vector<std::string> segments = Segments(form);
  int number = 0, name = 0;
  for (size_t s = 0; s < segments.size(); ++s) {
    const bool number_here = segments[s] == "#";
    segments[s] = s == segment && !text.empty() ? text : Escaped(segments[s]);
    if (!number_here || (s == segment && !text.empty())) continue;
    if (number++ == gather) {
      segments[s] = "{e:int...}";
    } else {
      segments[s] = std::string("{") + kNames[name++] + (left ? ":int}" : "}");
    }
  }
  return fmt::format("\"{}\"", fmt::join(segments, "."));
}

class Finder {
 public:
  Finder(const Manifest& source, const std::vector<bool>& source_used, const Manifest& target,
         const std::vector<bool>& target_used, const Containers& containers, JoinNames names, const Values* values)
      : containers_(containers),
        names_(names),
        values_(values),
        source_(source),
        target_(target),
        left_(RestOf(source, source_used)),
        right_(RestOf(target, target_used)),
        left_done_(left_.size(), false),
        right_done_(right_.size(), false) {}

  std::vector<Join> Run() {
    for (const bool merge : {true, false}) {
      const std::vector<Rest>& parts = merge ? left_ : right_;
      const std::vector<Rest>& wholes = merge ? right_ : left_;
      const std::vector<Siblings> all = SiblingsOf(parts);
      if (all.size() * wholes.size() > kMaxFormPairs) continue;  // names without structure
      for (const Siblings& siblings : all) {
        std::vector<size_t> order(wholes.size());
        for (size_t w = 0; w < order.size(); ++w) order[w] = w;
        // The whole whose name is most like the parts' comes first.
        const std::string& part = parts[siblings.rests[0]].form;
        std::map<size_t, double> alike;
        for (const size_t w : order)
          alike[w] = Similarity(part, wholes[w].form) + (ContainerOf(part) == ContainerOf(wholes[w].form) ? 0.1 : 0);
        std::stable_sort(order.begin(), order.end(), [&](size_t x, size_t y) { return alike[x] > alike[y]; });
        for (const size_t w : order) JoinSiblings(siblings, w, merge);
      }
    }
    if (names_ == JoinNames::kAny && left_.size() * right_.size() <= kMaxFormPairs) {
      // Gate and up projection belong together, so they are looked at alone last.
      for (size_t w = 0; w < right_.size(); ++w) StackExperts(w, false);
      for (size_t w = 0; w < right_.size(); ++w) StackPairs(w);
      for (size_t w = 0; w < right_.size(); ++w) StackExperts(w, true);
    }
    return std::move(joins_);
  }

 private:
  const Shape& ShapeOf(const Manifest& manifest, const Rest& rest, const Index& index) const {
    return manifest[rest.tensors.at(index)].shape;
  }

  // Whether two forms can be of one module: their names do not contradict each other, and their blocks are each
  // other's.
  bool Together(const std::string& left, const std::string& right, bool one_block = true) const {
    // The word for a part, q or up, is not the whole's.
    Roles a = RolesOf(left), b = RolesOf(right);
    a.words[0].clear();
    if (Contradict(a, b)) return false;
    if (!one_block) return true;
    const auto found = containers_.find(ContainerOf(left));
    return found == containers_.end() || found->second == ContainerOf(right);
  }

  // The axis along which the parts make up the whole, in every layer; -1: none. Values say whether they are transposed.
  int AxisOf(const std::vector<size_t>& parts, size_t whole, bool merge) const {
    const int axis = AxisOf(parts, whole, merge, false);
    return axis >= 0 || values_ == nullptr ? axis : AxisOf(parts, whole, merge, true);
  }
  int AxisOf(const std::vector<size_t>& parts, size_t whole, bool merge, bool turned) const {
    const std::vector<Rest>& some = merge ? left_ : right_;
    const Rest& all = (merge ? right_ : left_)[whole];
    const Manifest& of_parts = merge ? source_ : target_;
    const Manifest& of_whole = merge ? target_ : source_;
    for (size_t axis = 0; axis < 2; ++axis) {
      const bool fits = std::all_of(all.tensors.begin(), all.tensors.end(), [&](const auto& entry) {
        const Shape& shape = of_whole[entry.second].shape;
        if (shape.size() <= axis) return false;
        int64_t sum = 0;
        for (const size_t part : parts) {
          Shape piece = ShapeOf(of_parts, some[part], entry.first);
          if (piece.size() != shape.size() || (turned && piece.size() != 2)) return false;
          if (turned) std::swap(piece[0], piece[1]);
          sum += piece[axis];
          piece[axis] = shape[axis];
          if (piece != shape) return false;
        }
        return sum == shape[axis];
      });
      if (fits) return static_cast<int>(axis);
    }
    return -1;
  }

  void JoinSiblings(const Siblings& siblings, size_t whole, bool merge) {
    const std::vector<Rest>& some = merge ? left_ : right_;
    const Rest& all = (merge ? right_ : left_)[whole];
    std::vector<bool>& parts_done = merge ? left_done_ : right_done_;
    std::vector<bool>& whole_done = merge ? right_done_ : left_done_;
    if (whole_done[whole]) return;
    std::vector<size_t> open;
    for (const size_t r : siblings.rests) {
      if (!parts_done[r] && SameNumbers(some[r], all) &&
          Together(merge ? some[r].form : all.form, merge ? all.form : some[r].form))
        open.push_back(r);
    }
    if (open.size() < 2) return;
    // All of them, then three in a row, then two; the usual names first.
    std::vector<size_t> counts = {3, 2};
    if (open.size() > 3 && names_ == JoinNames::kAny) counts.insert(counts.begin(), open.size());
    for (const size_t count : counts) {
      for (size_t first = 0; first + count <= open.size(); ++first) {
        const std::vector<size_t> parts(open.begin() + static_cast<std::ptrdiff_t>(first),
                                        open.begin() + static_cast<std::ptrdiff_t>(first + count));
        if (names_ == JoinNames::kTelling && !Telling(some, siblings, parts, all)) continue;
        const int axis = AxisOf(parts, whole, merge);
        if (axis < 0) continue;
        if (!AddJoin(siblings, parts, whole, axis, merge)) continue;
        for (const size_t part : parts) parts_done[part] = true;
        whole_done[whole] = true;
        return;
      }
    }
  }

  // "q_proj" and "wq", but not "w_gate_hidden".
  static bool IsPart(const std::string& segment) {
    const std::vector<std::string> words = WordsOf(segment);
    const bool projection = std::find(words.begin(), words.end(), "projection") != words.end();
    return PartOrder(segment) < 5 && (words.size() == 1 || (words.size() == 2 && projection));
  }

  // q, k and v, or gate and up, whole; and a whole whose name is that of no part.
  static bool Telling(const std::vector<Rest>& some, const Siblings& siblings, const std::vector<size_t>& parts,
                      const Rest& all) {
    std::vector<int> orders;
    for (const size_t part : parts) orders.push_back(PartOrder(Segments(some[part].form)[siblings.segment]));
    const std::vector<std::string> segments = Segments(all.form);
    const size_t last = segments.size() - 1;
    const bool part_of_whole = IsPart(segments[last]) || (last > 0 && IsPart(segments[last - 1]));
    return (orders == std::vector<int>{0, 1, 2} || orders == std::vector<int>{3, 4}) && !part_of_whole;
  }

  // What the values say of all layers alike; nullopt: they are no join.
  std::optional<Values::Joined> JoinByValues(const std::vector<size_t>& parts, size_t whole, bool merge) const {
    const std::vector<Rest>& some = merge ? left_ : right_;
    std::optional<Values::Joined> joined;
    for (const auto& [index, tensor] : (merge ? right_ : left_)[whole].tensors) {
      std::vector<size_t> tensors;
      for (const size_t part : parts) tensors.push_back(some[part].tensors.at(index));
      auto one = values_->Join(tensors, merge, tensor);
      if (!one || (joined && (one->order != joined->order || one->operations != joined->operations)))
        return std::nullopt;
      joined = std::move(one);
    }
    return joined;
  }

  // "split(axis=0)", with the sizes where they differ: those of the parts along `part_axis`.
  std::string SplitText(const std::vector<size_t>& parts, int part_axis, int axis) const {
    std::vector<int64_t> sizes;
    for (const size_t part : parts)
      sizes.push_back(target_[right_[part].tensors.begin()->second].shape[static_cast<size_t>(part_axis)]);
    const bool equal = std::all_of(sizes.begin(), sizes.end(), [&](int64_t size) { return size == sizes[0]; });
    return equal ? fmt::format("| split(axis={})", axis)
                 : fmt::format("| split(axis={}, sizes=[{}])", axis, fmt::join(sizes, ", "));
  }

  bool AddJoin(const Siblings& siblings, std::vector<size_t> parts, size_t whole, int axis, bool merge) {
    const std::vector<Rest>& some = merge ? left_ : right_;
    const Rest& all = (merge ? right_ : left_)[whole];
    Join join;
    std::string operations = merge ? fmt::format("| concat(axis={})", axis) : SplitText(parts, axis, axis);
    if (values_ != nullptr) {
      const auto joined = JoinByValues(parts, whole, merge);
      if (!joined) return false;
      std::vector<size_t> ordered;
      for (const size_t p : joined->order) ordered.push_back(parts[p]);
      parts = ordered;
      operations = joined->operations;
      if (!merge && joined->axis >= 0) {
        operations = SplitText(parts, joined->turned ? 1 - joined->axis : joined->axis, joined->axis) +
                     (joined->turned ? " | transpose()" : "");
      }
    }
    std::vector<std::string> words;
    for (const size_t part : parts) {
      words.push_back(Segments(some[part].form)[siblings.segment]);
      for (const auto& [index, tensor] : some[part].tensors) (merge ? join.source : join.target).push_back(tensor);
    }
    for (const auto& [index, tensor] : all.tensors) (merge ? join.target : join.source).push_back(tensor);
    const std::string several = Name(some[parts[0]].form, merge, siblings.segment, Alternatives(words));
    const std::string one = Name(all.form, !merge, all.form.size(), "");
    join.line.text = merge ? fmt::format("{} {} <-> {};", several, operations, one)
                           : fmt::format("{} {} <-> {};", one, operations, several);
    join.line.certain = values_ != nullptr;
    if (values_ == nullptr)
      join.line.alternatives = {"another order of the parts", "parts that alternate: head by head, or row by row"};
    joins_.push_back(std::move(join));
    return true;
  }

  // Tensors with one number more than the target's: gathered into one.
  void StackExperts(size_t whole, bool gates) {
    if (right_done_[whole]) return;
    const Rest& all = right_[whole];
    for (size_t r = 0; r < left_.size(); ++r) {
      if (left_done_[r]) continue;
      const Index& first = left_[r].tensors.begin()->first;
      if (!Related(left_[r].form, all.form) || (!gates && IsGate(left_[r].form))) continue;
      if (first.size() != all.tensors.begin()->first.size() + 1) continue;
      const std::string ops = StackOps(left_[r], all);
      if (ops.empty()) continue;
      Join join;
      for (const auto& [index, tensor] : left_[r].tensors) join.source.push_back(tensor);
      for (const auto& [index, tensor] : all.tensors) join.target.push_back(tensor);
      join.line.text = fmt::format(
          "{} {} <-> {};",
          Name(left_[r].form, true, all.form.size() + left_[r].form.size(), "", static_cast<int>(first.size()) - 1),
          ops, Name(all.form, false, all.form.size() + left_[r].form.size(), ""));
      turned_ = turned_ || ops.find("transpose") != std::string::npos;
      join.line.certain = false;
      join.line.alternatives = {"another tensor of the experts of this shape"};
      joins_.push_back(std::move(join));
      left_done_[r] = right_done_[whole] = true;
      return;
    }
  }

  // The gate and the up projection of each expert in one, expert after expert.
  void StackPairs(size_t whole) {
    if (right_done_[whole]) return;
    const Rest& all = right_[whole];
    for (const Siblings& siblings : SiblingsOf(left_)) {
      std::vector<size_t> parts;
      for (const size_t r : siblings.rests) {
        const int order = PartOrder(Segments(left_[r].form)[siblings.segment]);
        if (!left_done_[r] && (order == 3 || order == 4)) parts.push_back(r);
      }
      if (parts.size() != 2 || !SameNumbers(left_[parts[0]], left_[parts[1]]) ||
          !Together(left_[parts[0]].form, all.form, false))
        continue;
      const Index& first = left_[parts[0]].tensors.begin()->first;
      if (first.size() != all.tensors.begin()->first.size() + 1) continue;
      const std::string ops = StackOps(left_[parts[0]], all, true);
      if (ops.empty()) continue;
      Join join;
      std::vector<std::string> words;
      for (const size_t r : parts) {
        words.push_back(Segments(left_[r].form)[siblings.segment]);
        for (const auto& [index, tensor] : left_[r].tensors) join.source.push_back(tensor);
        left_done_[r] = true;
      }
      for (const auto& [index, tensor] : all.tensors) join.target.push_back(tensor);
      join.line.text = fmt::format(
          "{} {} <-> {};",
          Name(left_[parts[0]].form, true, siblings.segment, Alternatives(words), static_cast<int>(first.size()) - 1),
          ops, Name(all.form, false, all.form.size(), ""));
      join.line.certain = false;
      join.line.alternatives = {"the other order of the two", "the same, transposed where the sizes allow it",
                                "rows that alternate"};
      joins_.push_back(std::move(join));
      right_done_[whole] = true;
      return;
    }
  }

  static bool IsGate(const std::string& form) {
    const std::vector<std::string> segments = Segments(form);
    return std::any_of(segments.begin(), segments.end(), [](const std::string& segment) {
      return IsPart(segment) && (PartOrder(segment) == 3 || PartOrder(segment) == 4);
    });
  }

  // The names do not contradict each other.
  static bool Related(const std::string& left, const std::string& right) {
    return !Contradict(RolesOf(left), RolesOf(right));
  }

  // Operations that make the whole of the parts whose last number is gathered; "": none do.
  std::string StackOps(const Rest& parts, const Rest& all, bool pairs = false) const {
    std::map<Index, int64_t> counts;
    for (const auto& [index, tensor] : parts.tensors) {
      Index outer(index.begin(), index.end() - 1);
      if (counts[outer]++ != index.back()) return "";  // not 0, 1, 2, …
    }
    std::string found;
    for (const auto& [index, tensor] : all.tensors) {
      const auto count = counts.find(index);
      if (count == counts.end()) return "";
      Index inner = index;
      inner.push_back(0);
      const Shape& one = ShapeOf(source_, parts, inner);
      const std::string ops = pairs ? PairOpsFor(one, count->second, target_[tensor].shape, turned_)
                                    : OpsFor(one, count->second, target_[tensor].shape);
      if (ops.empty() || (!found.empty() && ops != found)) return "";
      found = ops;
    }
    return counts.size() == all.tensors.size() ? found : "";
  }

  // Of two each. `turned`: others of this network are transposed.
  static std::string PairOpsFor(const Shape& one, int64_t count, const Shape& whole, bool turned) {
    if (one.size() != 2) return "";
    const Shape both = {2 * one[0], one[1]};
    std::string plain = OpsFor(both, count, whole), other = OpsFor({both[1], both[0]}, count, whole);
    // What OpsFor says of the transposed pair is the same with a transposition more, or less.
    const auto with = [](const std::string& ops) { return ops.empty() ? ops : "| concat(axis=0) " + ops; };
    if (turned && !other.empty() && !other.starts_with("| transpose")) return "| concat(axis=0) | transpose() " + other;
    return with(plain);
  }

  static std::string OpsFor(const Shape& one, int64_t count, const Shape& whole) {
    if (one.size() != 2) return "";
    const Shape turned = {one[1], one[0]};
    for (const bool turn : {false, true}) {
      const Shape& part = turn ? turned : one;
      const char* first = turn ? "| transpose() " : "";
      if (whole == Shape{count, part[0], part[1]}) return fmt::format("{}| stack(axis=0)", first);
      if (whole == Shape{count * part[0], part[1]}) return fmt::format("{}| concat(axis=0)", first);
    }
    return "";
  }

  const Containers& containers_;
  JoinNames names_;
  const Values* values_;
  const Manifest& source_;
  const Manifest& target_;
  std::vector<Rest> left_, right_;
  std::vector<bool> left_done_, right_done_;
  std::vector<Join> joins_;
  bool turned_ = false;  // some experts are transposed
};

}  // namespace

std::vector<Join> FindJoins(const Manifest& source, const std::vector<bool>& source_used, const Manifest& target,
                            const std::vector<bool>& target_used, const Containers& containers, JoinNames names,
                            const Values* values) {
  return Finder(source, source_used, target, target_used, containers, names, values).Run();
}

}  // namespace ckmap::suggest
