# Checkpoints of other frameworks.
ckmap_layer(formats_others SOURCES
  gguf.cc
  npy_header.cc
  npz.cc
  onnx.cc
  onnx_numbers.cc
  onnx_tensor.cc
  LINK ckmap_formats_read)

ckmap_test(others_test SOURCES others_test.cc LINK ckmap_formats ckmap_torch_oracle simdjson::simdjson)
