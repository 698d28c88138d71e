#include "compiler/suggest/twins.h"

#include <algorithm>

#include <fmt/format.h>

#include "compiler/suggest/network.h"
#include "compiler/suggest/words.h"

namespace ckmap::suggest {
namespace {

// "a.b" of "a.b.c", "" of "a". The path of everything is "".
std::string Above(const std::string& path) {
  const size_t dot = path.rfind('.');
  return dot == std::string::npos ? "" : path.substr(0, dot);
}

bool IsBeneath(const std::string& name, const std::string& path) {
  return path.empty() || (name.size() > path.size() && name.starts_with(path) && name[path.size()] == '.');
}

std::string CommonPath(std::string path, const std::string& name) {
  while (!path.empty() && path != name && !IsBeneath(name, path)) path = Above(path);
  return path;
}

std::string Key(const std::string& path, const std::string& content) { return path + '\1' + content; }

// What a name says beneath a path, whatever the order of its words.
std::vector<std::string> WordsBeneath(const std::string& name, const std::string& path) {
  const std::string rest = path.empty() ? name : name.substr(path.size() + 1);
  const size_t dot = rest.rfind('.');
  const std::string kind = KindOf(dot == std::string::npos ? rest : rest.substr(dot + 1));
  std::vector<std::string> words = WordsOf(kind.empty() ? rest : rest.substr(0, dot == std::string::npos ? 0 : dot));
  words.push_back("=" + kind);
  std::sort(words.begin(), words.end());
  return words;
}

}  // namespace

Twins::Side Twins::SideOf(const Manifest& manifest, const std::vector<Fingerprint>& prints) {
  Side side{&manifest, {}, {}, {}};
  for (size_t i = 0; i < manifest.size(); ++i) {
    const TensorInfo& tensor = manifest[i];
    // What cannot be read is told apart by its sizes alone.
    side.content.push_back(prints[i].known
                               ? fmt::format("{:x} {}{}", prints[i].unordered, NumElements(tensor.shape).value_or(-1),
                                             prints[i].constant ? " c" : "")
                               : "? " + FormatShape(tensor.shape));
    for (std::string path = Above(tensor.name);; path = Above(path)) {
      side.beneath[Key(path, side.content.back())].push_back(i);
      if (path.empty()) break;
    }
  }
  return side;
}

Twins::Twins(const Manifest& source, const Manifest& target, const Values& values)
    : source_(SideOf(source, values.Sources())), target_(SideOf(target, values.Targets())) {}

const std::vector<size_t>& Twins::Beneath(const Side& side, const std::string& path, size_t tensor) {
  static const std::vector<size_t> kNone;
  const auto found = side.beneath.find(Key(path, side.content[tensor]));
  return found == side.beneath.end() ? kNone : found->second;
}

bool Twins::OfSource(size_t tensor) const { return Beneath(source_, "", tensor).size() > 1; }
bool Twins::OfTarget(size_t tensor) const { return Beneath(target_, "", tensor).size() > 1; }

void Twins::AddPartner(Side& side, const std::string& name, const std::string& partner) {
  for (std::string path = Above(name);; path = Above(path)) {
    const auto [at, made] = side.partners.try_emplace(path, partner);
    if (!made) at->second = CommonPath(at->second, partner);
    if (path.empty()) break;
  }
}

void Twins::SetAnchors(const std::vector<std::pair<size_t, size_t>>& pairs) {
  source_.partners.clear();
  target_.partners.clear();
  for (const auto& [source, target] : pairs) {
    AddPartner(source_, (*source_.manifest)[source].name, (*target_.manifest)[target].name);
    AddPartner(target_, (*target_.manifest)[target].name, (*source_.manifest)[source].name);
  }
}

// Whether the two say the same beneath their paths, and no twin of theirs there does.
bool Twins::OnlyByName(const std::string& from, size_t source, const std::string& to, size_t target) const {
  const std::vector<std::string> words = WordsBeneath((*source_.manifest)[source].name, from);
  const auto alone = [&](const Side& side, const std::string& path, size_t own) {
    const std::vector<size_t>& twins = Beneath(side, path, own);
    return std::all_of(twins.begin(), twins.end(), [&](size_t twin) {
      return twin == own || WordsBeneath((*side.manifest)[twin].name, path) != words;
    });
  };
  return words == WordsBeneath((*target_.manifest)[target].name, to) && alone(source_, from, source) &&
         alone(target_, to, target);
}

bool Twins::Decided(size_t source, size_t target) const {
  const std::string &name = (*source_.manifest)[source].name, &wanted = (*target_.manifest)[target].name;
  if (name == wanted) return true;
  for (std::string from = Above(name);; from = Above(from)) {
    const auto partners = source_.partners.find(from);
    // Without a neighbour that tells, the whole network is the next that is known to be the other's.
    if (partners == source_.partners.end() && !from.empty()) continue;
    const std::string to = partners == source_.partners.end() ? "" : CommonPath(Above(wanted), partners->second);
    const auto back = target_.partners.find(to);
    const bool each_others =
        from.empty() || (back != target_.partners.end() && (back->second == from || IsBeneath(back->second, from)));
    if (each_others) {
      if (Beneath(source_, from, source).size() == 1 && Beneath(target_, to, target).size() == 1) return true;
      return OnlyByName(from, source, to, target);
    }
    if (from.empty()) return false;
  }
}

}  // namespace ckmap::suggest
