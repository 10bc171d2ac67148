# The MCP server in a container: for catalogues that run servers in containers, for machines whose Python is older than
# 3.11, and for assistants that must not run programs outside one. On your own machine the package itself is better:
# every assistant, script and person shares one daemon there, and executed code is confined by the whole kernel.
#
#   docker build --tag enhanced-memory .
#   docker run --interactive --rm --volume enhanced-memory:/data enhanced-memory
#
# The memory is in the volume, and so is the socket: containers of one volume share one daemon. When the container that
# started it ends, the next request starts another; what was acknowledged is on the disk by then.

FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE schema.sql memory_client.py memory_db_service.py ./
COPY deploy deploy
COPY enhanced_memory enhanced_memory
RUN python -m venv /opt/enhanced-memory \
    && /opt/enhanced-memory/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM python:3.13-slim
RUN useradd --uid 10001 --create-home memory && install --directory --mode=0700 --owner=memory /data
COPY --from=build /opt/enhanced-memory /opt/enhanced-memory
ENV PATH=/opt/enhanced-memory/bin:$PATH MEMORY_DB_PATH=/data/memory.db MEMORY_DB_SOCKET=/data/memory-db.sock
USER memory
VOLUME /data
ENTRYPOINT ["memory-mcp"]
