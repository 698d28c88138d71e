#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "compiler/cli/commands.h"
#include "compiler/doc/doc.h"

namespace ckmap {

int DocCommand(const CompilerArgs& args, bool ops) {
  const LoadOptions options{PackPath(args.includes), {}};
  std::vector<std::string> names = args.files;
  if (names.empty() && !ops) return PrintError(Error(ErrorCode::kUsage, "name a pack or a file, or give --ops"));
  const auto put = [&](const std::string& name, const std::string& page) {
    if (args.output.empty()) {
      fmt::print("{}", page);
      return 0;
    }
    std::string file = name;
    std::replace(file.begin(), file.end(), '/', '_');
    const std::string path = (std::filesystem::path(args.output) / (file + ".md")).string();
    if (Result<void> written = WriteInFolder(args.output, path, page); !written) return PrintError(written.error());
    fmt::print(stderr, "{}\n", path);
    return 0;
  };
  int exit = ops ? put("operations", OperationsPage()) : 0;
  for (const std::string& name : names) {
    const Result<std::string> page = RulesPage(name, options);
    exit = std::max(
        exit, page ? put(std::filesystem::path(name).replace_extension("").string(), *page) : PrintError(page.error()));
  }
  return exit;
}

}  // namespace ckmap
