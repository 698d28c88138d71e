# Checkpoints of other frameworks.
ckmap_layer(formats_others SOURCES
  gguf.cc
  hdf5.cc
  hdf5_chunk_arrays.cc
  hdf5_chunks.cc
  hdf5_dataset.cc
  hdf5_file.cc
  hdf5_filters.cc
  hdf5_heap.cc
  hdf5_object.cc
  hdf5_tree1.cc
  hdf5_tree2.cc
  hdf5_type.cc
  hdf5_values.cc
  npy_header.cc
  npz.cc
  onnx.cc
  onnx_numbers.cc
  onnx_tensor.cc
  LINK ckmap_formats_read PRIVATE ZLIB::ZLIB)

ckmap_test(others_test SOURCES others_test.cc LINK ckmap_formats ckmap_torch_oracle simdjson::simdjson)

ckmap_fuzz(npz_fuzz LINK ckmap_formats_others)
ckmap_fuzz(gguf_fuzz LINK ckmap_formats_others)
ckmap_fuzz(hdf5_fuzz LINK ckmap_formats_others)
ckmap_fuzz(onnx_fuzz LINK ckmap_formats_others)
