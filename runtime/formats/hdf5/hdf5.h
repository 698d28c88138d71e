// HDF5 as h5py, Keras and TensorFlow write it: superblocks 0 to 3, groups as symbol tables, link messages or
// fractal heaps of them, fixed and float types of either byte order, h5py's bools, compact, contiguous and chunked
// layouts, deflate, lzf, shuffle and fletcher32. All of it is read by our own code.
// https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html
//
// A tensor's name is the path of its dataset, parts joined by '/': `dense/dense/kernel:0`, `layers/dense/vars/0`. Rules
// for such names say `names "/" -> ".";`. Attributes are metadata(), OBJECT@NAME, those of the file itself by their
// names alone; arrays are JSON. Datasets of text are others(). What is not read (records, other filters, virtual
// datasets) is TensorInfo::unreadable.
//
// A `.keras` file is a zip archive with a stored model.weights.h5, which is read; config.json is metadata `config`.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "runtime/base/file.h"
#include "runtime/base/result.h"
#include "runtime/formats/checkpoint.h"

namespace ckmap {

// Both by content; the head is some first bytes of the file.
bool LooksLikeHdf5(std::span<const std::byte> head);
bool LooksLikeKeras(std::span<const std::byte> head);

// kMalformed, kLimit; errors begin with the path.
Result<std::unique_ptr<Checkpoint>> OpenHdf5(InputFile file);
Result<std::unique_ptr<Checkpoint>> OpenKeras(InputFile file);

}  // namespace ckmap
