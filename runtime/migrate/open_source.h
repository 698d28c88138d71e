// How the source of a migration is opened, and all else that is read as a checkpoint.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"
#include "runtime/formats/selection.h"

namespace ckmap {

struct SourceOptions {
  OpenOptions open = {};
  std::string from = {};   // the format that it must have, as people call it ("ckpt", "torch", …); empty: any
  bool crc_check = false;  // it must carry a checksum, and that must be right
  Selection selection = {};
};

// Opens a checkpoint as the options say. Its checksum is not checked yet, only that it has one if options.crc_check
// insists.
Result<std::unique_ptr<Checkpoint>> OpenSource(const std::string& path, const SourceOptions& options);

// The same, and reads all of it if options.crc_check insists on its checksum: for whoever does not read it anyway.
Result<std::unique_ptr<Checkpoint>> OpenCheckedSource(const std::string& path, const SourceOptions& options);

// Reads the bytes of all tensors and checks what their format promises of them.
Result<void> VerifyChecksums(const Checkpoint& checkpoint);

// What a migration starts from: a checkpoint, or names and shapes alone.
struct MigrationSource {
  std::string path;                              // as it is named in messages and reports
  std::vector<std::string> spaces = {};          // names of the sources beside the first one
  std::shared_ptr<const Checkpoint> checkpoint;  // null for a spec
  std::optional<Manifest> spec;                  // set for a spec
  bool crc_check = false;                        // all checksums must be right, those of bytes that are not used too

  const Manifest& manifest() const { return checkpoint != nullptr ? checkpoint->manifest() : *spec; }
};
Result<MigrationSource> OpenMigrationSource(const std::string& path, const SourceOptions& options);

// A source beside the first one.
struct NamedPath {
  std::string name, path;
};
// "NAME=PATH". kUsage for what is none.
Result<NamedPath> ParseNamedPath(const std::string& text);
// How messages and reports name all sources: "base.safetensors, head=head.pth".
std::string DescribeSources(const std::string& path, const std::vector<NamedPath>& named);
// The source at `path`, "" for none, and others, whose tensors are named "NAME:tensor". The options are those of the
// first one; the others are opened as they are.
Result<MigrationSource> OpenMigrationSources(const std::string& path, const std::vector<NamedPath>& named,
                                             const SourceOptions& options);

}  // namespace ckmap
