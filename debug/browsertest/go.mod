// The tests of the page of package debug in a browser.
module github.com/tinyio-go/tinyio/debug/browsertest

go 1.25.0

require (
	github.com/chromedp/chromedp v0.23.1
	github.com/tinyio-go/tinyio v0.0.0
)

require (
	github.com/chromedp/cdproto v0.160.1 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
)

replace github.com/tinyio-go/tinyio => ../..
