# The agent's image. Stages: ts (JavaScript), bpf (the datapath's object), native (addons, CNI plugin), runtime.
# scripts/check-dockerfile.sh builds it without a registry and looks into the result.

FROM docker.io/library/node:24-bookworm-slim AS ts
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund --loglevel=error
COPY tsconfig.json ./
COPY src src
RUN node_modules/.bin/tsc -p .

FROM ts AS bpf
RUN apt-get update -q \
	&& apt-get install -y -q --no-install-recommends clang-19 libbpf-dev linux-libc-dev \
	&& rm -rf /var/lib/apt/lists/*
COPY bpf bpf
RUN node build/src/bpf/compile-main.js --always

FROM ts AS native
RUN apt-get update -q \
	&& apt-get install -y -q --no-install-recommends \
		g++ libbpf-dev libnl-3-dev libnl-route-3-dev make pkg-config python3 \
	&& rm -rf /var/lib/apt/lists/*
COPY binding.gyp ./
COPY scripts/build-native.sh scripts/
COPY native native
RUN bash scripts/build-native.sh bpf net isthmus-cni && strip --strip-debug build/native/*

# No compiler, and no C sources: the object is what the bpf stage made, whatever --compile says.
FROM docker.io/library/node:24-bookworm-slim AS runtime
RUN apt-get update -q \
	&& apt-get install -y -q --no-install-recommends iproute2 libbpf1 libnl-3-200 libnl-route-3-200 nftables \
	&& rm -rf /var/lib/apt/lists/*
WORKDIR /opt/isthmus
COPY package.json package-lock.json LICENSE ./
COPY LICENSES LICENSES
RUN npm ci --omit=dev --no-audit --no-fund --loglevel=error --cache /tmp/npm && rm -rf /tmp/npm
COPY bin bin
COPY --from=ts /src/build/src build/src
COPY --from=bpf /src/build/bpf build/bpf
COPY --from=native /src/build/native build/native
RUN ln -s /opt/isthmus/bin/isthmus /usr/local/bin/isthmus
ENTRYPOINT ["node", "/opt/isthmus/build/src/cli/main.js"]
CMD ["agent"]
