#include "compiler/program/verification_card.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/base/text.h"

namespace ckmap {
namespace {

const std::vector<std::string> kCardKeys = {"network",  "source", "target",         "config", "defines", "tensors",
                                            "elements", "equal",  "max_difference", "cosine", "date",    "command"};

bool IsDate(std::string_view text) {
  constexpr std::string_view kForm = "0000-00-00";
  return text.size() == kForm.size() && std::equal(text.begin(), text.end(), kForm.begin(), [](char c, char form) {
           return form == '-' ? c == '-' : IsDigit(c);
         });
}

bool IsSha256(std::string_view text) {
  constexpr std::string_view kBegin = "sha256:";
  constexpr size_t kDigits = 64;
  return text.starts_with(kBegin) && text.size() == kBegin.size() + kDigits &&
         std::all_of(text.begin() + static_cast<ptrdiff_t>(kBegin.size()), text.end(),
                     [](char c) { return IsDigit(c) || (c >= 'a' && c <= 'f'); });
}

class CardReader {
 public:
  CardReader(const YAML::Node& node, const CardProblem& report) : node_(node), report_(report) {}

  std::optional<VerificationCard> Read() {
    CheckKeys();
    VerificationCard card;
    card.network = Text("network", true);
    card.source = Text("source", false);
    card.target = Text("target", false);
    card.config = Text("config", false);
    if (!card.config.empty() && !IsSha256(card.config))
      Wrong(node_["config"], "`config` is not a digest", "write sha256: and 64 hexadecimal digits");
    if (const YAML::Node defines = node_["defines"]) ReadDefines(defines, card);
    card.tensors = Count("tensors");
    card.elements = Count("elements");
    card.equal = Count("equal");
    if (card.equal > card.elements)
      Wrong(node_["equal"], fmt::format("{} elements are equal, of {}", card.equal, card.elements), "");
    card.max_difference = Number("max_difference", 0, 1e300);
    card.cosine = Number("cosine", -1, 1);
    card.date = Text("date", true);
    if (!card.date.empty() && !IsDate(card.date))
      Wrong(node_["date"], fmt::format("`{}` is not a date", card.date), "write it as 2026-11-29");
    card.command = Text("command", true);
    return right_ ? std::optional<VerificationCard>(std::move(card)) : std::nullopt;
  }

 private:
  void Wrong(const YAML::Node& node, std::string message, std::string help) {
    report_(node, std::move(message), std::move(help));
    right_ = false;
  }

  void CheckKeys() {
    for (const auto& entry : node_) {
      const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
      if (std::find(kCardKeys.begin(), kCardKeys.end(), key) == kCardKeys.end())
        Wrong(entry.first, fmt::format("`{}` is not a key of a verification card", key),
              fmt::format("the keys are {}", fmt::join(kCardKeys, ", ")));
    }
  }

  std::string Text(const char* key, bool required) {
    const YAML::Node value = node_[key];
    if (value && value.IsScalar() && !value.Scalar().empty()) return value.Scalar();
    if (value) {
      Wrong(value, fmt::format("`{}` is not a text", key), "");
    } else if (required) {
      Wrong(node_, fmt::format("a verification card has no `{}`", key), "`ckmap verify … --card NETWORK` writes one");
    }
    return "";
  }

  int64_t Count(const char* key) {
    const std::string text = Text(key, true);
    int64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (!text.empty() && (error != std::errc() || end != text.data() + text.size() || count < 0))
      Wrong(node_[key], fmt::format("`{}`: `{}` is not a whole number", key, text), "");
    return count;
  }

  std::optional<double> Number(const char* key, double least, double most) {
    const std::string text = Text(key, false);
    if (text.empty()) return std::nullopt;
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size() && number >= least && number <= most) return number;
    Wrong(node_[key], fmt::format("`{}`: `{}` is not a number that it can be", key, text), "");
    return std::nullopt;
  }

  void ReadDefines(const YAML::Node& defines, VerificationCard& card) {
    if (!defines.IsMap()) return Wrong(defines, "`defines` is not a mapping", "write `defines: {heads: 32}`");
    for (const auto& entry : defines) {
      if (!entry.first.IsScalar() || !entry.second.IsScalar())
        Wrong(entry.second, "a value of `defines` is not a single value", "");
      else
        card.defines[entry.first.Scalar()] = entry.second.Scalar();
    }
  }

  const YAML::Node& node_;
  const CardProblem& report_;
  bool right_ = true;
};

}  // namespace

std::optional<VerificationCard> ReadVerificationCard(const YAML::Node& node, const CardProblem& report) {
  return CardReader(node, report).Read();
}

}  // namespace ckmap
