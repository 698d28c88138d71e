#include "runtime/bind/renamer.h"

#include <algorithm>
#include <map>

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

}  // namespace

Result<Renamer> Renamer::Create(const plan::Plan& plan, const Scope& scope) {
  Renamer renamer;
  renamer.scope_ = &scope;
  renamer.source_separator_ = plan.source_separator().empty() ? "." : plan.source_separator();
  renamer.target_separator_ = plan.target_separator().empty() ? "." : plan.target_separator();
  std::map<std::string, const plan::Rename*> chosen;
  const auto level = [&](const plan::Rename& rename) {
    return plan.files(static_cast<int>(rename.loc().file())).level();
  };
  for (const plan::Rename& rename : plan.renames()) {
    const auto [it, added] = chosen.emplace(rename.from().text(), &rename);
    if (!added && level(rename) < level(*it->second)) it->second = &rename;
  }
  for (const auto& [text, rename] : chosen) {
    CKMAP_ASSIGN_OR_RETURN(
        CompiledName from,
        CompiledName::Compile(rename->from(), {.separator = renamer.source_separator_, .scope = scope}));
    renamer.entries_.push_back(
        {rename, CountSegments(rename->from(), renamer.source_separator_), LiteralSize(rename->from()), std::move(from)});
  }
  std::stable_sort(renamer.entries_.begin(), renamer.entries_.end(), [](const Entry& a, const Entry& b) {
    return a.segments != b.segments ? a.segments > b.segments : a.literal_size > b.literal_size;
  });
  return renamer;
}

Result<std::string> Renamer::Apply(std::string_view name) const { return Apply(name, nullptr); }

Result<std::string> Renamer::Apply(std::string_view name,
                                   std::vector<const plan::Rename*>* used) const {
  if (entries_.empty() && source_separator_ == target_separator_) return std::string(name);
  const std::vector<std::string_view> segments = Segments(name, source_separator_);
  std::string result;
  bool first = true;
  const auto append = [&](std::string_view text) {
    if (!first) result += target_separator_;
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
                     fmt::format("two renames fit `{}` of `{}` alike: `{}` and `{}`; make one of them more specific", run,
                                 name, found->rename->from().text(), entry.rename->from().text()));
      }
      found = &entry;
      captures = std::move(here);
    }
    if (found == nullptr) {
      append(segments[i++]);
      continue;
    }
    CKMAP_ASSIGN_OR_RETURN(const std::string text, Instantiate(found->rename->to(), *scope_, captures));
    if (!text.empty()) append(text);  // a rename to "" takes the run out
    if (used != nullptr) used->push_back(found->rename);
    i += found->segments;
  }
  return result;
}

}  // namespace ckmap
