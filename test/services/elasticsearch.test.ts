/** The elasticsearch output against Elasticsearch; runs pipelines/elasticsearch.yaml. */
import { startElasticsearch } from './servers/elasticsearch.ts';
import { describeSearch } from './support/search-suite.ts';

describeSearch({ name: 'elasticsearch', start: startElasticsearch, pipelines: false });
