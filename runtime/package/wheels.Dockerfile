# What cibuildwheel builds the wheels in: docker build -t ckmap-wheels -f runtime/package/wheels.Dockerfile .
# Debian 12 with the packages that ckmap needs, and CPython where cibuildwheel looks for it.
FROM python:3.9-bookworm AS cp39
FROM python:3.10-bookworm AS cp310
FROM python:3.11-bookworm AS cp311
FROM python:3.12-bookworm AS cp312
FROM debian:12
COPY tests/setup.sh /tmp/setup.sh
RUN . /tmp/setup.sh && ckmap_install git patchelf libffi8 libsqlite3-0 libbz2-1.0 liblzma5 libreadline8
COPY --from=cp39 /usr/local /opt/python/cp39-cp39
COPY --from=cp310 /usr/local /opt/python/cp310-cp310
COPY --from=cp311 /usr/local /opt/python/cp311-cp311
COPY --from=cp312 /usr/local /opt/python/cp312-cp312
# Their libpython is beside them.
RUN for folder in /opt/python/*/; do echo "${folder}lib"; done >/etc/ld.so.conf.d/python.conf && ldconfig && \
    for folder in /opt/python/*/; do ln -sf python3 "${folder}bin/python"; done && \
    /opt/python/cp312-cp312/bin/python -m pip install --no-cache-dir auditwheel build && \
    ln -s /opt/python/cp312-cp312/bin/auditwheel /usr/local/bin/auditwheel
