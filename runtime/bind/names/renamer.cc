#include "runtime/bind/names/renamer.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include <fmt/format.h>

namespace ckmap {
namespace {

std::vector<std::string_view> Segments(std::string_view name, std::string_view separator) {
  std::vector<std::string_view> segments;
  while (true) {
    const size_t at = name.find(separator);
    segments.push_back(name.substr(0, at));
    if (at == std::string_view::npos) return segments;
    name.remove_prefix(at + separator.size());
  }
}

// Segments of a left side: separators in its literals, since other parts lie inside a segment.
size_t CountSegments(const plan::Pattern& pattern, std::string_view separator) {
  size_t count = 1;
  for (const plan::Part& part : pattern.parts()) {
    if (part.has_literal()) count += Segments(part.literal(), separator).size() - 1;
  }
  return count;
}

std::string Separator(const std::string& separator) { return separator.empty() ? "." : separator; }

void ReplaceAll(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

}  // namespace

Result<RunRenamer> RunRenamer::Create(const plan::Plan& plan, const Scope& scope, bool of_target,
                                      const std::string& from, const std::string& to, const std::string& out) {
  RunRenamer renamer;
  renamer.plan_ = &plan;
  renamer.scope_ = &scope;
  renamer.from_separator_ = from;
  renamer.to_separator_ = to;
  renamer.out_separator_ = out;
  std::map<std::string, const plan::Rename*> chosen;
  const auto level = [&](const plan::Rename& rename) {
    return plan.files(static_cast<int>(rename.loc().file())).level();
  };
  for (const plan::Rename& rename : plan.renames()) {
    if (rename.of_target() != of_target) continue;
    const auto [it, added] = chosen.emplace(rename.from().text(), &rename);
    if (!added && level(rename) < level(*it->second)) it->second = &rename;
  }
  for (const auto& [text, rename] : chosen) {
    CKMAP_ASSIGN_OR_RETURN(CompiledName compiled,
                           CompiledName::Compile(rename->from(), {.separator = from, .scope = scope}));
    renamer.entries_.push_back(
        {rename, CountSegments(rename->from(), from), LiteralSize(rename->from()), std::move(compiled)});
  }
  std::stable_sort(renamer.entries_.begin(), renamer.entries_.end(), [](const Entry& a, const Entry& b) {
    return a.segments != b.segments ? a.segments > b.segments : a.literal_size > b.literal_size;
  });
  return renamer;
}

Result<std::string> RunRenamer::Apply(std::string_view name, std::vector<const plan::Rename*>* used) const {
  if (entries_.empty() && from_separator_ == out_separator_) return std::string(name);
  const std::vector<std::string_view> segments = Segments(name, from_separator_);
  std::string result;
  bool first = true;
  const auto append = [&](std::string_view text) {
    if (!first) result += out_separator_;
    first = false;
    result += text;
  };
  for (size_t i = 0; i < segments.size();) {
    const Entry* found = nullptr;
    Captures captures;
    for (const Entry& entry : entries_) {
      if (i + entry.segments > segments.size()) continue;
      const char* begin = segments[i].data();
      const std::string_view last = segments[i + entry.segments - 1];
      const std::string_view run(begin, static_cast<size_t>(last.data() + last.size() - begin));
      if (found != nullptr && (entry.segments != found->segments || entry.literal_size != found->literal_size)) break;
      Captures here;
      if (!entry.from.Match(run, *scope_, here)) continue;
      if (found != nullptr) {
        return Error(ErrorCode::kMismatch,
                     fmt::format("two renames fit `{}` of `{}` alike: `{}` and `{}`; make one of them more specific",
                                 run, name, found->rename->from().text(), entry.rename->from().text()));
      }
      found = &entry;
      captures = std::move(here);
    }
    if (found == nullptr) {
      append(segments[i++]);
      continue;
    }
    Result<std::string> made = Instantiate(found->rename->to(), *scope_, captures);
    if (!made) {
      const plan::Location& loc = found->rename->loc();
      return Error(made.error().code(),
                   fmt::format("the rename at {}:{}, `{} -> {}`, gives no name for `{}`: {}",
                               plan_->files(static_cast<int>(loc.file())).name(), loc.line(),
                               found->rename->from().text(), found->rename->to().text(), name, made.error().message()));
    }
    std::string text = *std::move(made);
    if (to_separator_ != out_separator_) ReplaceAll(text, to_separator_, out_separator_);
    if (!text.empty()) append(text);  // a rename to "" takes the run out
    if (used != nullptr) used->push_back(found->rename);
    i += found->segments;
  }
  return result;
}

Result<Renamer> Renamer::Create(const plan::Plan& plan, const Scope& scope, const Manifest& target) {
  const std::string left = Separator(plan.source_separator()), right = Separator(plan.target_separator());
  Renamer renamer;
  renamer.meets_ = std::any_of(plan.renames().begin(), plan.renames().end(),
                               [](const plan::Rename& rename) { return rename.of_target(); });
  CKMAP_ASSIGN_OR_RETURN(renamer.source_,
                         RunRenamer::Create(plan, scope, false, left, right, renamer.meets_ ? left : right));
  if (!renamer.meets_) return renamer;
  CKMAP_ASSIGN_OR_RETURN(renamer.target_, RunRenamer::Create(plan, scope, true, right, left, left));
  // Tensors, then modules that hold tensors themselves, then those around them: of several that become one name the
  // first kind is meant (`classifier.1 -> classifier` takes nothing from the `classifier` around it).
  std::vector<std::string_view> names[3];
  std::unordered_set<std::string_view> seen;
  for (size_t i = 0; i < target.size(); ++i) {
    const std::string_view name = target[i].name;
    names[0].push_back(name);
    const size_t end = name.rfind(right);
    if (end != std::string_view::npos && end > 0 && seen.insert(name.substr(0, end)).second)
      names[1].push_back(name.substr(0, end));
  }
  for (const std::string_view module : names[1]) {
    for (size_t at = module.rfind(right); at != std::string_view::npos && at > 0; at = module.rfind(right, at - 1)) {
      if (seen.insert(module.substr(0, at)).second) names[2].push_back(module.substr(0, at));
    }
  }
  for (const std::vector<std::string_view>& kind : names) {
    std::vector<std::string_view> open;
    for (const std::string_view name : kind) {
      CKMAP_ASSIGN_OR_RETURN(const std::string met, renamer.target_.Apply(name, nullptr));
      if (!renamer.meetings_.contains(met)) open.push_back(name);
    }
    for (const std::string_view name : open) CKMAP_RETURN_IF_ERROR(renamer.Meet(name));
  }
  return renamer;
}

Result<void> Renamer::Meet(std::string_view name) {
  Meeting meeting;
  CKMAP_ASSIGN_OR_RETURN(std::string met, target_.Apply(name, &meeting.used));
  meeting.name = std::string(name);
  const auto [found, fresh] = meetings_.try_emplace(std::move(met), std::move(meeting));
  if (!fresh && found->second.name != name) found->second.other = std::string(name);
  return {};
}

Result<Renamed> Renamer::Apply(std::string_view name, std::vector<const plan::Rename*>* used) const {
  Renamed renamed;
  if (name.empty() && !meets_) return renamed;  // what stands in no module
  CKMAP_ASSIGN_OR_RETURN(renamed.name, source_.Apply(name, used));
  if (!meets_) return renamed;
  const auto found = meetings_.find(renamed.name);
  renamed.met = found != meetings_.end();
  if (!renamed.met) return renamed;
  const Meeting& meeting = found->second;
  if (!meeting.other.empty()) {
    return Error(
        ErrorCode::kMismatch,
        fmt::format("`{}` and `{}` of the target are both renamed to `{}`, the name of a source tensor or module; "
                    "write a rule for it",
                    meeting.name, meeting.other, renamed.name));
  }
  renamed.name = meeting.name;
  if (used != nullptr) used->insert(used->end(), meeting.used.begin(), meeting.used.end());
  return renamed;
}

}  // namespace ckmap
