#!/bin/sh
# Downloads one Debian source package of an exact version and unpacks it with its patches applied.
#
#   debian_source.sh PACKAGE VERSION SUITE DSC_SHA256 DEST
#
# The mirrors are those of /etc/apt (either format) with the suite replaced, so proxies, keys and credentials that work
# for apt work here; apt's own state is left alone, and root is not needed. Checked: apt the suite's signature, this
# script the .dsc, dpkg-source the tarballs. DEBIAN_SOURCE_CACHE (default ~/.cache/debian-source) keeps the download,
# and with it the network is not used: a suite drops a version when the next security fix arrives.
set -eu
package=$1 version=$2 suite=$3 dsc_sha256=$4 dest=$5
etc=${DEBIAN_SOURCE_ETC:-/etc/apt}
cache=${DEBIAN_SOURCE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/debian-source}
dir=$cache/${package}_${version}
dsc=${package}_${version#*:}.dsc # an epoch is not part of a file name

# Prints a one-line deb-src entry of $suite for each entry of this machine's own release.
private_sources() {
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  cat "$etc"/sources.list "$etc"/sources.list.d/*.list 2>/dev/null | awk -v own="$codename" -v want="$suite" '
    $1 !~ /^deb(-src)?$/ { next }
    {
      sub(/^[[:space:]]*deb(-src)?[[:space:]]+/, ""); options = ""
      if (/^\[/) { end = index($0, "]"); options = substr($0, 1, end) " "; $0 = substr($0, end + 1) }
      gsub(/arch[a-z-]*=[^] ]* */, "", options)
      if ($2 == own || $2 == own "-security") { sub(own, want, $2); print "deb-src " options $1 " " $2 " main" }
    }'
  for file in "$etc"/sources.list.d/*.sources; do
    [ -e "$file" ] || continue
    awk -v own="$codename" -v want="$suite" '
      function stanza(   n, m, i, j, uris, suites, options) {
        if (field["enabled"] !~ /^(no|false)$/) {
          n = split(field["uris"], uris); m = split(field["suites"], suites)
          # A key written inline has no one-line form; apt then falls back on its trusted keys.
          if (field["signed-by"] ~ /^\//) options = "signed-by=" field["signed-by"]
          if (field["trusted"] != "") options = options " trusted=" field["trusted"]
          if (options != "") options = "[" options "] "
          for (i = 1; i <= n; i++) for (j = 1; j <= m; j++)
            if (suites[j] == own || suites[j] == own "-security") {
              sub(own, want, suites[j]); print "deb-src " options uris[i] " " suites[j] " main" }
        }
        split("", field); name = ""
      }
      /^#/ { next }
      /^[[:space:]]*$/ { stanza(); next }
      /^[[:space:]]/ { field[name] = field[name] " " $0; next }
      { name = tolower($0); sub(/:.*/, "", name); text = $0; sub(/^[^:]*:[[:space:]]*/, "", text)
        sub(/[[:space:]]+$/, "", text); field[name] = text }
      END { stanza() }' "$file"
  done
}

download() {
  work=$(mktemp -d "$cache/.download.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/parts" "$work/lists/partial" "$work/archives/partial" "$work/files"
  private_sources | sort -u > "$work/sources.list"
  [ -s "$work/sources.list" ] || { echo "found no mirror of this Debian release under $etc" >&2; exit 1; }
  options="-o Dir::Etc::SourceList=$work/sources.list -o Dir::Etc::SourceParts=$work/parts -o Dir::State::Lists=$work/lists
    -o Dir::Cache=$work -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=
    -o Acquire::Languages=none -o Acquire::Retries=3 -q"
  # Without Error-Mode apt-get reports success though an index is missing.
  apt-get $options -o APT::Update::Error-Mode=any update >&2
  (cd "$work/files" && apt-get $options --only-source --download-only source "$package=$version" >&2) || {
    echo "$suite does not have $package $version; it has:" >&2
    apt-cache $options showsrc --only-source "$package" 2>/dev/null | sed -n 's/^Version: /  /p' >&2
    exit 1
  }
  rm -rf "$dir"
  mv "$work/files" "$dir"
}

mkdir -p "$cache"
[ -f "$dir/$dsc" ] || download
echo "$dsc_sha256  $dir/$dsc" | sha256sum --check --status || {
  echo "$dir/$dsc has the wrong sha256: delete that folder, or correct the WORKSPACE" >&2
  exit 1
}
rm -rf "$dest"
# Silent unless it fails: it warns that it lacks the uploader's key, which the pinned sha256 makes irrelevant.
log=$(dpkg-source --require-strong-checksums -x "$dir/$dsc" "$dest" 2>&1) || { echo "$log" >&2; exit 1; }
