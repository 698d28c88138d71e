#include "compiler/sema/overlap/guards.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include <fmt/format.h>

namespace ckmap {
namespace {

constexpr size_t kMaxCases = 512;
constexpr int kMaxConditionDepth = 80;
constexpr size_t kMaxKey = 2048;
constexpr int64_t kMaxRank = 64;
constexpr std::string_view kRank = "_rank(";

std::string_view Opposite(std::string_view op) {
  if (op == "==") return "!=";
  if (op == "!=") return "==";
  if (op == "<") return ">=";
  if (op == "<=") return ">";
  if (op == ">") return "<=";
  return "<";
}

// `a op b` where the sign of both sides is changed.
std::string_view Mirrored(std::string_view op) {
  if (op == "<") return ">";
  if (op == "<=") return ">=";
  if (op == ">") return "<";
  if (op == ">=") return "<=";
  return op;
}

bool IsComparison(std::string_view op) {
  return op == "==" || op == "!=" || op == "<" || op == "<=" || op == ">" || op == ">=";
}

}  // namespace

bool Guards::Numbers::Empty() {
  while (low <= high && without.contains(low)) {
    without.erase(low);
    if (low == INT64_MAX) return true;
    ++low;
  }
  while (low <= high && without.contains(high)) {
    without.erase(high);
    if (high == INT64_MIN) return true;
    --high;
  }
  return low > high;
}

int64_t Guards::Numbers::Value() const {
  int64_t value = low != INT64_MIN ? low : std::min<int64_t>(high, 1);
  while (without.contains(value)) value += low != INT64_MIN || high == INT64_MAX ? 1 : -1;
  return value;
}

bool Guards::Merge(Case& into, const Case& other) {
  for (const auto& [key, value] : other.truths) {
    if (into.truths.emplace(key, value).first->second != value) return false;
  }
  for (const auto& [key, numbers] : other.numbers) {
    Numbers& own = into.numbers.emplace(key, numbers).first->second;
    own.low = std::max(own.low, numbers.low);
    own.high = std::min(own.high, numbers.high);
    own.without.insert(numbers.without.begin(), numbers.without.end());
    own.told = own.told || numbers.told;
    if (own.Empty()) return false;
  }
  for (const auto& [key, texts] : other.texts) {
    Texts& own = into.texts[key];
    if (own.known && texts.known && own.is != texts.is) return false;
    if (texts.known) own.is = texts.is;
    own.known = own.known || texts.known;
    own.is_not.insert(texts.is_not.begin(), texts.is_not.end());
    if (own.known && own.is_not.contains(own.is)) return false;
  }
  return true;
}

// Bounds of sums from bounds of what they add up, and the other way round, a few times over: `n == 5` and
// `m - n == 1` leave 6 for m.
bool Guards::Propagate(Case& one) {
  constexpr int kRounds = 4;
  constexpr int64_t kFar = int64_t{1} << 60;  // beyond it nothing is concluded
  const auto bound = [&](const std::string& key) {
    const auto known = one.numbers.find(key);
    return known == one.numbers.end()
               ? std::pair(-kFar, kFar)
               : std::pair(std::max(known->second.low, -kFar), std::min(known->second.high, kFar));
  };
  // Far is as good as without bound: a sum with such a part has none.
  const auto scaled = [&](int64_t factor, int64_t value, int64_t far) {
    int64_t product = 0;
    return value <= -kFar || value >= kFar || __builtin_mul_overflow(factor, value, &product) || product <= -kFar ||
                   product >= kFar
               ? far
               : product;
  };
  for (int round = 0; round < kRounds; ++round) {
    std::map<std::string, std::pair<int64_t, int64_t>> found;
    for (const auto& [key, numbers] : one.numbers) {
      const std::vector<std::pair<std::string, int64_t>> parts = numbers.sum.Parts();
      if (parts.size() < 2 || parts.size() > 8) continue;
      for (size_t i = 0; i < parts.size(); ++i) {
        // factor * part = sum - the others
        int64_t low = numbers.low <= -kFar ? -kFar : numbers.low, high = numbers.high >= kFar ? kFar : numbers.high;
        for (size_t j = 0; j < parts.size(); ++j) {
          if (j == i) continue;
          const auto [least, most] = bound(parts[j].first);
          const int64_t factor = parts[j].second;
          const int64_t smallest = factor > 0 ? scaled(factor, least, -kFar) : scaled(factor, most, -kFar);
          const int64_t largest = factor > 0 ? scaled(factor, most, kFar) : scaled(factor, least, kFar);
          low = low <= -kFar || largest >= kFar ? -kFar : low - largest;
          high = high >= kFar || smallest <= -kFar ? kFar : high - smallest;
        }
        const int64_t factor = parts[i].second;
        if (factor < 0) std::tie(low, high) = std::pair(high >= kFar ? -kFar : -high, low <= -kFar ? kFar : -low);
        const int64_t size = factor < 0 ? -factor : factor;
        auto& range = found.try_emplace(parts[i].first, -kFar, kFar).first->second;
        if (low > -kFar) range.first = std::max(range.first, IntegerOp("ceil_div", low, size).value_or(-kFar));
        if (high < kFar) range.second = std::min(range.second, IntegerOp("//", high, size).value_or(kFar));
      }
    }
    bool changed = false;
    for (const auto& [key, range] : found) {
      Numbers& own = one.numbers.try_emplace(key, Numbers{INT64_MIN, INT64_MAX, {}, {}, true}).first->second;
      changed =
          changed || (range.first > -kFar && range.first > own.low) || (range.second < kFar && range.second < own.high);
      if (range.first > -kFar) own.low = std::max(own.low, range.first);
      if (range.second < kFar) own.high = std::min(own.high, range.second);
      if (own.Empty()) return false;
    }
    if (!changed) break;
  }
  return true;
}

Guards::Cases Guards::Both(const Cases& a, const Cases& b) {
  Cases all;
  for (const Case& x : a) {
    for (const Case& y : b) {
      ++work_;
      Case both = x;
      if (!Merge(both, y)) continue;
      all.push_back(std::move(both));
      if (all.size() <= kMaxCases) continue;
      too_many_ = true;
      return all;
    }
  }
  return all;
}

Guards::Cases Guards::Either(Cases a, Cases b) {
  a.insert(a.end(), std::make_move_iterator(b.begin()), std::make_move_iterator(b.end()));
  too_many_ = too_many_ || a.size() > kMaxCases;
  return a;
}

// A condition with too many cases is left out: less is required then, and "no" stays a proof.
void Guards::Conclude(Cases cases) {
  Cases all = too_many_ ? Cases() : Both(cases_, cases);
  if (too_many_) {
    gave_up_ = true;
    too_many_ = false;
  } else {
    cases_ = std::move(all);
    std::erase_if(cases_, [](Case& one) { return !Propagate(one); });
  }
  names_ = nullptr;
}

void Guards::Require(const TypedExpr& condition, const CaptureNames* names) {
  names_ = names;
  Conclude(Expand(condition, true, 0));
}

void Guards::RequireSource(const TypedPattern& name, const CaptureNames* names) {
  names_ = names;
  Cases cases = Bound(Polynomial::Symbol(fmt::format("source{}{})", kRank, NameKey(name, 0)), false), ">=", 0);
  for (Case& one : cases) {
    for (auto& [key, numbers] : one.numbers) numbers.told = false;
  }
  Conclude(std::move(cases));
}

void Guards::RequireRange(const TypedRange& range, const CaptureNames* names) {
  names_ = names;
  TypedExpr capture;
  capture.kind = TypedExpr::Kind::kCapture;
  capture.text = range.capture;
  const Polynomial value = Sum(capture, 0);
  const auto low = Polynomial::Add(value, Sum(range.begin, 0), -1),
             high = Polynomial::Add(value, Sum(range.end, 0), -1);
  Cases cases(1);
  if (low) cases = Both(cases, CompareSums(">=", *low, true));
  if (high) cases = Both(cases, CompareSums("<", *high, true));
  Conclude(std::move(cases));
}

void Guards::RequireEqual(const TypedExpr& left, const CaptureNames* left_names, const TypedExpr& right,
                          const CaptureNames* right_names) {
  names_ = left_names;
  const Polynomial first = Sum(left, 0);
  names_ = right_names;
  const auto difference = Polynomial::Add(first, Sum(right, 0), -1);
  Conclude(difference ? CompareSums("==", *difference, true) : Cases(1));
}

// ---- conditions ------------------------------------------------------------------------------------

Guards::Cases Guards::Truth(std::string key, bool value) {
  Case one;
  one.truths[std::move(key)] = value;
  return {std::move(one)};
}

Guards::Cases Guards::Expand(const TypedExpr& expr, bool positive, int depth) {
  if (depth > kMaxConditionDepth || too_many_) {
    too_many_ = true;
    return {};
  }
  if (expr.kind == TypedExpr::Kind::kInvalid) return Cases(1);
  if (const auto constant = EvaluateConstant(expr, variables_, Values());
      constant && std::holds_alternative<bool>(*constant)) {
    return std::get<bool>(*constant) == positive ? Cases(1) : Cases();
  }
  if (expr.kind == TypedExpr::Kind::kVariable) {
    const VariableTable::Entry* entry = variables_.FindQualified(expr.text);
    if (entry != nullptr && !entry->variable.is_param && entry->variable.value)
      return Expand(*entry->variable.value, positive, depth + 1);
  }
  if (expr.kind != TypedExpr::Kind::kCall) return Truth(Key(expr, 0), positive);
  const std::vector<TypedExpr>& args = expr.args;
  if (expr.text == "not" && args.size() == 1) return Expand(args[0], !positive, depth + 1);
  if ((expr.text == "and" || expr.text == "or") && args.size() == 2) {
    Cases left = Expand(args[0], positive, depth + 1), right = Expand(args[1], positive, depth + 1);
    return (expr.text == "and") == positive ? Both(left, right) : Either(std::move(left), std::move(right));
  }
  if (expr.text == "if" && args.size() == 3) {
    return Either(Both(Expand(args[0], true, depth + 1), Expand(args[1], positive, depth + 1)),
                  Both(Expand(args[0], false, depth + 1), Expand(args[2], positive, depth + 1)));
  }
  if (IsComparison(expr.text) && args.size() == 2) return Compare(expr, positive, depth);
  if (expr.text.ends_with("_has") && args.size() == 1 && args[0].name) {
    const std::string side = expr.text.substr(0, expr.text.size() - 4);
    const Polynomial rank = Polynomial::Symbol(fmt::format("{}{}{})", side, kRank, NameKey(*args[0].name, 0)), false);
    return Bound(rank, positive ? ">=" : "<", 0);
  }
  return Truth(Key(expr, 0), positive);
}

Guards::Cases Guards::Compare(const TypedExpr& expr, bool positive, int depth) {
  const TypedExpr &left = expr.args[0], &right = expr.args[1];
  const bool equality = expr.text == "==" || expr.text == "!=";
  if (equality && left.type == ValueType::kBool && right.type == ValueType::kBool) {
    const bool same = (expr.text == "==") == positive;
    return Either(Both(Expand(left, true, depth + 1), Expand(right, same, depth + 1)),
                  Both(Expand(left, false, depth + 1), Expand(right, !same, depth + 1)));
  }
  if (equality && (left.type == ValueType::kString || right.type == ValueType::kString)) {
    return CompareTexts(left, right, (expr.text == "==") == positive);
  }
  if (left.type == ValueType::kInt && right.type == ValueType::kInt) {
    if (const auto difference = Polynomial::Add(Sum(left, depth + 1), Sum(right, depth + 1), -1))
      return CompareSums(expr.text, *difference, positive);
  }
  // Numbers that are no integers: only a condition and its opposite are told apart.
  std::string_view op = expr.text;
  const TypedExpr *first = &left, *second = &right;
  if (op == ">" || op == "<=") {
    std::swap(first, second);
    op = Mirrored(op);
  }
  const bool negative = op == ">=" || op == "!=";
  return Truth(fmt::format("{} {} {}", Key(*first, 0), negative ? Opposite(op) : op, Key(*second, 0)),
               negative != positive);
}

Guards::Cases Guards::CompareTexts(const TypedExpr& left, const TypedExpr& right, bool equal) {
  const auto a = EvaluateConstant(left, variables_, Values()), b = EvaluateConstant(right, variables_, Values());
  const std::string* constant = a ? std::get_if<std::string>(&*a) : b ? std::get_if<std::string>(&*b) : nullptr;
  if (constant == nullptr) {
    std::string x = Key(left, 0), y = Key(right, 0);
    if (x == y) return equal ? Cases(1) : Cases();
    if (y < x) std::swap(x, y);
    return Truth(fmt::format("{} == {}", x, y), equal);
  }
  Case one;
  Texts& texts = one.texts[Key(a ? right : left, 0)];
  texts.known = equal;
  if (equal) texts.is = *constant;
  if (!equal) texts.is_not.insert(*constant);
  return {std::move(one)};
}

// `difference op 0`.
Guards::Cases Guards::CompareSums(std::string_view op, const Polynomial& difference, bool positive) {
  if (!positive) op = Opposite(op);
  const std::optional<Polynomial::Normal> normal = difference.Normalized();
  if (!normal) {
    too_many_ = true;
    return {};
  }
  const int64_t value = normal->constant == INT64_MIN ? INT64_MAX : -normal->constant;
  if (normal->factor == 0) {  // a number
    const bool holds = op == "=="   ? value == 0
                       : op == "!=" ? value != 0
                       : op == "<"  ? value > 0
                       : op == "<=" ? value >= 0
                       : op == ">"  ? value < 0
                                    : value <= 0;
    return holds ? Cases(1) : Cases();
  }
  if (normal->factor < 0) op = Mirrored(op);
  const int64_t factor = normal->factor < 0 ? -normal->factor : normal->factor;
  const int64_t right = normal->factor < 0 ? -value : value;
  const bool whole = right % factor == 0;
  if (op == "==") return whole ? Bound(normal->base, op, right / factor) : Cases();
  if (op == "!=") return whole ? Bound(normal->base, op, right / factor) : Cases(1);
  const int64_t floor = IntegerOp("//", right, factor).value_or(0);
  if (op == "<") return Bound(normal->base, "<=", whole ? floor - 1 : floor);
  if (op == "<=") return Bound(normal->base, "<=", floor);
  if (op == ">") return Bound(normal->base, ">=", floor + 1);
  return Bound(normal->base, ">=", whole ? floor : floor + 1);
}

// `sum op value`, where what the sum can be at all is known of ranks, sizes and captures.
Guards::Cases Guards::Bound(const Polynomial& sum, std::string_view op, int64_t value) {
  const std::string key = sum.Text();
  Numbers numbers{INT64_MIN, INT64_MAX, {}, sum, true};
  const bool alone =
      key.find('*') == std::string::npos &&
      (key.find(' ') == std::string::npos || (key.ends_with(")") && key.find(") ") == std::string::npos));
  if (alone && (key.starts_with("source_rank(") || key.starts_with("target_rank(")))
    numbers.low = -1, numbers.high = kMaxRank;
  if (alone && (key.starts_with("source_size(") || key.starts_with("target_size("))) numbers.low = -1;
  if (alone && key.starts_with("{")) numbers.low = 0;
  if (op == "==") {
    if (value < numbers.low || value > numbers.high) return {};
    numbers.low = numbers.high = value;
  }
  if (op == "!=") numbers.without.insert(value);
  if (op == "<") numbers.high = std::min(numbers.high, value == INT64_MIN ? value : value - 1);
  if (op == "<=") numbers.high = std::min(numbers.high, value);
  if (op == ">=") numbers.low = std::max(numbers.low, value);
  if (numbers.Empty()) return {};
  Case one;
  one.numbers.emplace(key, std::move(numbers));
  return {std::move(one)};
}

// ---- sums ------------------------------------------------------------------------------------------

Polynomial Guards::Sum(const TypedExpr& expr, int depth) {
  if (const auto constant = EvaluateInt(expr, variables_, Values())) return Polynomial(*constant);
  const Polynomial opaque = Polynomial::Symbol(Key(expr, 0), false);
  if (expr.kind == TypedExpr::Kind::kVariable) {
    const VariableTable::Entry* entry = variables_.FindQualified(expr.text);
    return entry != nullptr && entry->size ? *entry->size : opaque;
  }
  if (expr.kind != TypedExpr::Kind::kCall || depth > kMaxConditionDepth || expr.args.empty() || expr.args.size() > 2)
    return opaque;
  if (expr.text == "neg") return Polynomial::Multiply(Sum(expr.args[0], depth + 1), Polynomial(-1)).value_or(opaque);
  if (expr.args.size() != 2 || expr.text.size() != 1) return opaque;
  if (expr.text != "+" && expr.text != "-" && expr.text != "*") return opaque;
  const Polynomial left = Sum(expr.args[0], depth + 1), right = Sum(expr.args[1], depth + 1);
  if (expr.text == "*") return Polynomial::Multiply(left, right).value_or(opaque);
  return Polynomial::Add(left, right, expr.text == "+" ? 1 : -1).value_or(opaque);
}

std::string Guards::CaptureKey(const std::string& name) const {
  if (names_ == nullptr) return "{" + name + "}";
  if (const auto text = names_->texts.find(name); text != names_->texts.end()) return text->second;
  if (const auto known = names_->same.find(name); known != names_->same.end()) return "{" + known->second + "}";
  return "{" + name + (names_->second ? "'" : "") + "}";
}

std::string Guards::NameKey(const TypedPattern& name, int depth) const {
  std::string key;
  for (const TypedPart& part : name.parts) {
    switch (part.kind) {
      case TypedPart::Kind::kLiteral:
        key += part.text;
        break;
      case TypedPart::Kind::kReference:
        key += CaptureKey(part.text);
        break;
      case TypedPart::Kind::kCapture:
        key += CaptureKey(part.capture.name);
        break;
      case TypedPart::Kind::kExpr:
        key += "{" + Key(part.expr, depth + 1) + "}";
        break;
      case TypedPart::Kind::kAlternatives:
        key += "{" + fmt::format("{}", fmt::join(part.options, ",")) + "}";
        break;
    }
  }
  return key;
}

// Equal keys are equal values; what grew too large gets a key of its own.
std::string Guards::Key(const TypedExpr& expr, int depth) const {
  const std::string unique = fmt::format("?{}", fmt::ptr(&expr));
  if (depth > kMaxConditionDepth) return unique;
  switch (expr.kind) {
    case TypedExpr::Kind::kInvalid:
      return unique;
    case TypedExpr::Kind::kInt:
      return fmt::format("{}", expr.integer);
    case TypedExpr::Kind::kNumber:
      return fmt::format("{}", expr.number);
    case TypedExpr::Kind::kText:
      return "\"" + expr.text + "\"";
    case TypedExpr::Kind::kBool:
      return expr.boolean ? "true" : "false";
    case TypedExpr::Kind::kVariable:
      return expr.text;
    case TypedExpr::Kind::kCapture: {
      if (names_ == nullptr || !names_->texts.contains(expr.text)) return CaptureKey(expr.text);
      const std::string text = CaptureKey(expr.text);
      return expr.type == ValueType::kInt ? text : "\"" + text + "\"";
    }
    case TypedExpr::Kind::kDim:
      return unique;  // a size of one rule
    case TypedExpr::Kind::kName:
      return NameKey(*expr.name, depth);
    case TypedExpr::Kind::kCall:
    case TypedExpr::Kind::kList:
      break;
  }
  std::string key = expr.text + "(";
  for (const TypedExpr& arg : expr.args) {
    if (key.size() > kMaxKey) return unique;
    key += (key.back() == '(' ? "" : ", ") + Key(arg, depth + 1);
  }
  return key + ")";
}

std::map<std::string, std::string, std::less<>> Guards::CaptureTexts(size_t which) const {
  const Case& one = cases_[which];
  std::map<std::string, std::string, std::less<>> texts;
  for (const auto& [key, numbers] : one.numbers) {
    if (IsCapture(key)) texts[key.substr(1, key.size() - 2)] = std::to_string(numbers.Value());
  }
  for (const auto& [key, known] : one.texts) {
    if (IsCapture(key) && known.known) texts[key.substr(1, key.size() - 2)] = known.is;
  }
  return texts;
}

std::map<std::string, std::set<std::string>> Guards::Facts() const {
  constexpr size_t kMaxFactCases = 16;
  std::map<std::string, std::set<std::string>> facts;
  if (cases_.empty() || cases_.size() > kMaxFactCases) return facts;
  for (size_t i = 0; i < cases_.size(); ++i) {
    std::map<std::string, std::string> fixed;
    for (const auto& [key, numbers] : cases_[i].numbers) {
      if (numbers.low == numbers.high) fixed.emplace(key, std::to_string(numbers.low));
    }
    for (const auto& [key, texts] : cases_[i].texts) {
      if (texts.known) fixed.emplace(key, "\"" + texts.is);
    }
    for (const auto& [key, value] : cases_[i].truths) fixed.emplace(key, value ? "true" : "false");
    if (i == 0) {
      for (const auto& [key, value] : fixed) facts[key];
    }
    std::erase_if(facts, [&](const auto& fact) { return !fixed.contains(fact.first); });
    for (auto& [key, values] : facts) values.insert(fixed[key]);
  }
  return facts;
}

// A number may be written with zeros in front, so it fixes no text.
std::map<std::string, std::string, std::less<>> Guards::FixedTexts() const {
  std::map<std::string, std::string, std::less<>> texts;
  for (const auto& [key, known] : cases_.front().texts) {
    if (IsCapture(key) && known.known) texts[key.substr(1, key.size() - 2)] = known.is;
  }
  return texts;
}

// ---- the example -----------------------------------------------------------------------------------

std::string Guards::Example() const {
  std::vector<std::string> facts;
  if (cases_.empty()) return "";
  const Case& one = cases_.front();
  for (const auto& [key, numbers] : one.numbers) {
    if (!numbers.told) continue;
    const size_t rank = key.find(kRank);
    if (rank == 6 && key.ends_with(")") && numbers.sum.Parts().size() == 1 &&
        (numbers.high < 0 || (numbers.low == 0 && numbers.high == kMaxRank))) {
      facts.push_back(fmt::format("the {} {} `{}`", key.substr(0, 6), numbers.high < 0 ? "lacks" : "has",
                                  key.substr(12, key.size() - 13)));
      continue;
    }
    facts.push_back(fmt::format("`{}` is {}", key, numbers.Value()));
  }
  for (const auto& [key, texts] : one.texts) {
    facts.push_back(texts.known ? fmt::format("`{}` is \"{}\"", key, texts.is)
                                : fmt::format("`{}` is not \"{}\"", key, *texts.is_not.begin()));
  }
  for (const auto& [key, value] : one.truths)
    facts.push_back(fmt::format("`{}` is {}", key.starts_with("?") ? "a condition" : key, value));
  std::string text;
  for (size_t i = 0; i < facts.size() && i < 5; ++i)
    text += (i == 0 ? "" : i + 1 == facts.size() ? " and " : ", ") + facts[i];
  return text;
}

}  // namespace ckmap
