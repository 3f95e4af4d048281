# One image for all roles: docker run task-execution-service handler|projector|api
FROM python:3.11-slim AS build
RUN pip install --no-cache-dir uv==0.13.9
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /app
# The libraries first: this layer changes only with the lock file.
COPY pyproject.toml uv.lock README.md ./
RUN uv sync --frozen --no-dev --extra sensitive --no-install-project
COPY service service
RUN uv sync --frozen --no-dev --extra sensitive --no-editable

FROM python:3.11-slim
RUN useradd --system --no-create-home --uid 10001 taskexec && install -d -o taskexec /var/lib/taskexec
COPY --from=build /app/.venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1
USER taskexec
ENTRYPOINT ["taskexec"]
CMD ["--help"]
