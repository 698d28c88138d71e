ckmap_layer(formats_write SOURCES
  writer.cc
  writer_checks.cc
  gguf_writer.cc
  safetensors_writer.cc
  ms_ckpt_writer.cc
  ms_encrypt.cc
  npz_writer.cc
  torch_writer.cc
  zip_file_writer.cc
  zip_writer.cc
  LINK ckmap_formats_core PRIVATE OpenSSL::Crypto)

ckmap_test(safetensors_writer_test SOURCES safetensors_writer_test.cc LINK ckmap_formats_write)
ckmap_test(ms_ckpt_writer_test SOURCES ms_ckpt_writer_test.cc LINK ckmap_formats_write)
