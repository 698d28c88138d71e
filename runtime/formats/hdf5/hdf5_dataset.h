// One dataset: what it is, and its elements as a storage. Internal to hdf5.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/formats/hdf5/hdf5_chunks.h"
#include "runtime/formats/hdf5/hdf5_object.h"
#include "runtime/formats/hdf5/hdf5_type.h"
#include "runtime/formats/storage/storage_source.h"

namespace ckmap {

struct Hdf5Dataset {
  Hdf5Space space;
  Hdf5Type type;
  std::string unreadable;                  // why its elements cannot be had; "" if they can
  std::unique_ptr<StorageSource> storage;  // row-major, in the file's byte order; none if unreadable or null
};

// The dataset that these messages describe; nullopt for an object that is none (a group). kMalformed for lies.
Result<std::optional<Hdf5Dataset>> ReadHdf5Dataset(Hdf5File& file, const std::vector<Hdf5Message>& messages,
                                                   const std::shared_ptr<Hdf5ChunkCache>& cache);

}  // namespace ckmap
