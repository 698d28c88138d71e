#include "runtime/plan/device_map.h"

#include <algorithm>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include "runtime/base/mistake_list.h"
#include "runtime/base/text.h"
#include "runtime/plan/device_name.h"
#include "runtime/tensor/tensor_name.h"

namespace ckmap {
namespace {

constexpr size_t kMaxBytes = size_t{8} << 20;

// Stops the parser: what follows would only repeat the mistake, or nest without end.
struct Stop {};

// Takes one flat map of names to devices from yaml-cpp's events.
class Handler final : public YAML::EventHandler {
 public:
  Handler(DeviceMap& map, MistakeList& mistakes, const std::string& path)
      : map_(map), mistakes_(mistakes), path_(path) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { Scalar(mark, "", "a name without a device"); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Refuse(mark, "aliases (*) are not taken; write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor, const std::string& value) override {
    if (anchor != 0) Refuse(mark, "anchors (&) are not taken");
    Scalar(mark, value, "");
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    Refuse(mark, "a list does not belong here: a device map gives each name one device");
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    if (inside_) Refuse(mark, "a map does not belong here: a device map gives each name one device");
    inside_ = true;
  }
  void OnMapEnd() override {}

 private:
  void Wrong(const YAML::Mark& mark, std::string_view what) {
    mistakes_.Add(fmt::format("line {}: {}", mark.line + 1, what));
  }
  [[noreturn]] void Refuse(const YAML::Mark& mark, std::string_view what) {
    Wrong(mark, what);
    throw Stop{};
  }

  void Scalar(const YAML::Mark& mark, std::string value, std::string_view problem) {
    if (!inside_) Refuse(mark, "a device map is a list of lines `name: device`");
    if (!std::exchange(wants_device_, !wants_device_)) {
      name_ = std::move(value);
      if (!problem.empty() && !name_.empty()) Wrong(mark, problem);
      const std::string bad = name_.empty() ? "" : TensorNameProblem(name_);
      if (!bad.empty()) Wrong(mark, fmt::format("{}: {}", QuoteName(name_), bad));
      if (!seen_.insert(name_).second) Wrong(mark, fmt::format("{} is given twice", QuoteName(name_)));
      return;
    }
    const bool number =
        !value.empty() && value.size() <= 6 && value.find_first_not_of("0123456789") == std::string::npos;
    if (number) value = "GPU:" + value;
    if (!IsDeviceName(value)) {
      return Wrong(mark, fmt::format("{} is no device: write CPU, GPU:0 or the like", QuoteName(value)));
    }
    map_.entries.push_back({name_, std::move(value), fmt::format("{}:{}", path_, mark.line + 1)});
  }

  DeviceMap& map_;
  MistakeList& mistakes_;
  const std::string& path_;
  bool inside_ = false;
  bool wants_device_ = false;
  std::string name_;
  std::set<std::string> seen_;
};

}  // namespace

Result<DeviceMap> ParseDeviceMap(std::string_view text, const std::string& path) {
  if (text.size() > kMaxBytes) {
    return Error(ErrorCode::kLimit, fmt::format("{}: a device map of {}, at most {} are read", path,
                                                FormatBytes(static_cast<int64_t>(text.size())),
                                                FormatBytes(static_cast<int64_t>(kMaxBytes))));
  }
  DeviceMap map;
  MistakeList mistakes;
  Handler handler(map, mistakes, path);
  std::istringstream stream{std::string(text)};
  try {
    YAML::Parser parser(stream);
    parser.HandleNextDocument(handler);
  } catch (const YAML::Exception& e) {
    mistakes.Add(fmt::format("line {}: not valid YAML: {}", e.mark.line + 1, e.msg));
  } catch (const Stop&) {
  }
  if (mistakes.empty() && map.entries.empty()) mistakes.Add("it holds no line `name: device`");
  if (!mistakes.empty()) return mistakes.ToError(ErrorCode::kMalformed, path);
  return map;
}

}  // namespace ckmap
